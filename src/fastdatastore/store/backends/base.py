"""What a store is kept in: a Backend holds objects of bytes under names, and knows nothing of what they mean.

The contract, in the manner of restic's back-end interface. All back ends pass one suite (tests/store/test_backends.py).

Names
    are relative to the root and "/"-separated; `check_name` says which there are. None escapes the root. A caller gives
    no name that is a directory of another one ("a" beside "a/b"): a file system could not hold both.
Atomicity
    An object appears under its name whole or not at all, and replaces another one whole. Who reads sees the one or the
    other, never a mixture, whatever happens to the writer.
Visibility
    What was written before a call is seen by that call, from any machine.
Idempotence
    Each call may be repeated. To write the same again changes nothing but the time; to delete what is not there is no
    error.
Permanence of errors
    A back end tries again by itself what may pass. What it reports as an error is final for this call: NotFound
    (nothing is stored under the name), Modified (the condition does not hold, or the object was replaced every time
    that it was read), AccessDenied, InsufficientDiskSpace, … A later call may fare otherwise.
A write that failed may have stored its object all the same
    (the reply was lost, the directory could not be flushed): whole, never a part of it. After an error either is to be
    reckoned with, and a repeated write without a condition settles it. A repeated *conditional* write may find its own
    earlier object: then it is told Modified. Within one call a back end finds that out by itself, and tells of success.
Nothing at the moment
    The iterables of read and write may yield None: whoever fills them waits for something else, such as a thread that
    hashes. What is on the way goes on, and they are asked again when an item has come back or after some milliseconds.
    They never block, because then all else would wait for them too.
One failure stops no other
    read and write hand back every item exactly once, with its `error` if it failed. What the caller's own iterable
    raises ends the call.
Clocks
    Times are of the clock that stamps the objects (the server's, the file system's), in seconds since 1970, to be
    compared with each other and with now(), never with this machine's time. They are exact to a second, no more, and an
    object may bear the time at which its write began.
Threads
    All methods may be called by several threads and processes at once. Callers' iterables, `place` and `watch` run in
    the thread that draws from the result. Who stops drawing early closes it (contextlib.closing): what is on the way is
    called off, and no buffer is touched any more. What was being written then is as after a write that failed; a server
    may store what it has received even a little later.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Final, Literal, Protocol, TypeAlias, TypeVar

from fastdatastore.errors import ConfigurationError, InvalidKey

if TYPE_CHECKING:
    from typing_extensions import Buffer

NAME_MAX = 1024  # bytes of UTF-8, root included: S3's for a key
PART_MAX = 255  # bytes of one directory's or file's name: the file systems'


class _Existence(Enum):
    UNKNOWN = "unknown"

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN: Final = _Existence.UNKNOWN


@dataclass(frozen=True, slots=True)
class Found:
    """An object that is there.

    Attributes:
        size: Bytes.
        modified: When it was stored, by the back end's own clock; 0.0 where that cannot be known.
        age: Seconds since then, by the same clock; infinite where that cannot be known.
    """

    size: int
    modified: float
    age: float


Existence: TypeAlias = Found | Literal[_Existence.UNKNOWN] | None
"""None: there is no object; UNKNOWN: who asks may not know (a credential that may only write)."""


@dataclass(eq=False, slots=True)
class Read:
    """An object to be read.

    Args:
        place: Is asked with the object's size for the writable buffers where its bytes go, one behind the other; their
            lengths add up to the size. It is asked again if the object was replaced in the middle of the read, which
            then begins anew. What it raises is the item's error.

    Attributes, when it comes back:
        error: Why the bytes are not there; what the places hold then is undefined.
        size, etag: Of the object.
    """

    name: str
    place: Callable[[int], tuple[Buffer, ...]]
    error: Exception | None = field(default=None, init=False)
    size: int = field(default=0, init=False)
    etag: str = field(default="", init=False)


@dataclass(eq=False, slots=True)
class Write:
    """An object to be stored: the bytes of `pieces`, one behind the other. They must not change until it comes back.

    Args:
        if_none_match: Only where there is none of this name; else Modified.
        if_match: Only over the object with this etag; else Modified.

    Attributes, when it comes back:
        error: Why it is not stored, for all we know; see "A write that failed" above.
        etag: Stands for the object as it is now; for if_match.
    """

    name: str
    pieces: tuple[Buffer, ...]
    if_none_match: bool = False
    if_match: str | None = None
    error: Exception | None = field(default=None, init=False)
    etag: str = field(default="", init=False)

    def __post_init__(self) -> None:
        if self.if_match == "" or (self.if_none_match and self.if_match is not None):
            raise ConfigurationError(
                f"a write has either if_none_match or the etag of an object in if_match, got {self.if_match!r}"
            )


@dataclass(frozen=True, slots=True)
class Entry:
    """An object that is there. `modified`: when it was stored, by the back end's own clock."""

    name: str
    size: int
    modified: float
    etag: str


R = TypeVar("R", bound=Read)
W = TypeVar("W", bound=Write)
Watch: TypeAlias = Callable[[], None] | None


class Backend(Protocol):
    """See the contract at the top of this file."""

    def found(self, names: Iterable[str], watch: Watch = None) -> Generator[tuple[str, Existence], None, None]:
        """What is there under each name: in any order, many asked at once.

        Args:
            watch: As for read.

        Raises:
            InvalidKey: A name that is none. FastDatastoreError: The back end cannot be asked.
        """

    def read(self, requests: Iterable[R | None], watch: Watch = None) -> Generator[R, None, None]:
        """Reads objects, drawn from `requests` as there is room; each comes back when it has ended.

        Args:
            watch: Is called at least ten times a second while the caller waits for the next one; what it raises ends
                the call.
        """

    def write(self, items: Iterable[W | None], watch: Watch = None) -> Generator[W, None, None]:
        """Stores objects, drawn from `items` as there is room; each comes back when it has ended.

        Args:
            watch: As for read.
        """

    def list(self, prefix: str, watch: Watch = None) -> Generator[Entry, None, None]:
        """All objects whose names begin with `prefix`, in any order; it is "" or ends in "/".

        What is stored or deleted meanwhile may be among them or not. What has no valid name is left out.

        Args:
            watch: As for read.

        Raises:
            InvalidKey, FastDatastoreError: As for found.
        """

    def delete(self, names: Iterable[str], watch: Watch = None) -> bool:
        """Deletes objects; that one is not there is no error.

        Args:
            watch: As for read.

        Returns:
            Whether that is all that will come of it. False: a request had to be sent again, and its first sending may
            still be on the way to a server, which then deletes what has been written meanwhile.

        Raises:
            InvalidKey, FastDatastoreError: As for found; others of the names may have been deleted.
        """

    def now(self, watch: Watch = None) -> float:
        """The time by the clock that stamps the objects.

        Args:
            watch: As for read.

        Raises:
            FastDatastoreError: The back end cannot be asked.
        """


def check_name(name: str) -> str:
    """Returns `name`, if it is one: parts of 1 to 255 bytes, without leading dot, backslash or control characters.

    So "..", "a//b", "/a" and ".hidden" are none. A part is no path: what is below the root stays there. (SeaweedFS
    refuses backslashes, XML control characters.)

    Raises:
        InvalidKey: It is none.
    """
    if not isinstance(name, str):
        raise InvalidKey(f"the name of a stored object must be a str, got {type(name).__name__}")
    if why := flaw(name):
        raise InvalidKey(f"{name[:100]!r} cannot be the name of a stored object: {why}")
    return name


def check_prefix(prefix: str) -> str:
    """Returns `prefix`, if it is one that list() takes.

    Raises:
        InvalidKey: It is none.
    """
    if prefix and not prefix.endswith("/"):
        raise InvalidKey(f"a prefix to list is empty or ends in a slash, got {prefix[:100]!r}")
    if prefix:
        check_name(prefix[:-1])
    return prefix


def is_name(name: str) -> bool:
    """Whether check_name takes it."""
    return not flaw(name)


def flaw(name: str) -> str:
    """Why check_name does not take it; "" if it does."""
    try:
        size = len(name.encode())
    except UnicodeEncodeError as error:
        return f"it is not valid Unicode ({error.reason})"
    if size > NAME_MAX:
        return f"it has {size:,} bytes of UTF-8, more than {NAME_MAX:,}"
    if any(c < " " or c in "\\\x7f" for c in name):
        return "it has a backslash or control characters"
    for part in name.split("/"):
        if not part:
            return "a part of it is empty"
        if part.startswith("."):
            return "a part of it begins with a dot"
        if len(part) > PART_MAX // 4 and len(part.encode()) > PART_MAX:
            return f"a part of it has more than {PART_MAX} bytes"
    return ""
