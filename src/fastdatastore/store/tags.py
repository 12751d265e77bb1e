"""Tags: names for refs, which may change; each is one small object, changed by compare-and-set only."""

from __future__ import annotations

import contextlib
import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from fastdatastore.errors import (
    ArtifactNotFound,
    FormatError,
    InvalidKey,
    Modified,
    NotFound,
    TagConflict,
    TagNotFound,
)
from fastdatastore.store import canonical, deletions, small
from fastdatastore.store import ref as refs
from fastdatastore.store.backends.base import Backend, Read, flaw
from fastdatastore.store.cancel import NEVER, Cancel
from fastdatastore.store.collection.lease import Hold, Lease

if TYPE_CHECKING:
    from typing_extensions import Buffer

PREFIX: Final = "tags/"
FORMAT: Final = 1
MAX_SIZE: Final = 4096

_CHANGE = re.compile(r"[0-9a-f]{32}")
_MEMBERS = {"change", "format", "ref"}


class _Any(Enum):
    ANY = "any"

    def __repr__(self) -> str:
        return "ANY"


ANY: Final = _Any.ANY
Expected: TypeAlias = str | Literal[_Any.ANY] | None
"""The ref that a tag must name; None: there must be no such tag; ANY: whatever it names."""


@dataclass(frozen=True)
class Tag:
    """What the object of a tag holds.

    Attributes:
        ref: What it names; None: there is no such tag, though an object.
        change: 32 hex digits by chance, of this very change.
    """

    ref: str | None
    change: str

    @classmethod
    def to(cls, ref: str | None) -> Tag:
        """A change of a tag."""
        return cls(ref, secrets.token_hex(16))


def object_name(name: str) -> str:
    """Where the tag lies.

    Raises:
        InvalidKey: It is no name of a tag.
    """
    if not isinstance(name, str):
        raise InvalidKey(f"the name of a tag must be a str, got {type(name).__name__}")
    place = PREFIX + name.replace("%", "%25").replace("/", "%2F")
    if why := flaw(name) or flaw(place):
        raise _not_a_name(name, why)
    return place


def check_new(name: str) -> None:
    """To be asked before a tag is set.

    Raises:
        InvalidKey: It is no name of a tag, or would be taken for a ref.
    """
    object_name(name)
    if name.startswith(refs.PREFIX):
        raise _not_a_name(name, f"it begins with {refs.PREFIX!r}, and would be taken for a ref")


def _not_a_name(name: str, why: str) -> InvalidKey:
    return InvalidKey(f"{name[:100]!r} cannot be the name of a tag: {why}")


def tag_name(name: str) -> str | None:
    """The tag that lies there; None if the object is none."""
    tag = name.removeprefix(PREFIX).replace("%2F", "/").replace("%25", "%")
    try:
        return tag if object_name(tag) == name else None
    except InvalidKey:
        return None


def encode(tag: Tag) -> bytes:
    """What the object holds."""
    return canonical.encode({"change": tag.change, "format": FORMAT, "ref": tag.ref})


def decode(data: Buffer, place: str) -> Tag:
    """What the object of a tag says.

    Raises:
        FormatError: It is of another format than 1, or no tag.
    """
    try:
        stored: Any = canonical.decode(bytes(data))
    except canonical.NotCanonical as error:
        raise FormatError(str(error), place=place) from None
    version = stored.get("format") if isinstance(stored, dict) else None
    if not isinstance(stored, dict) or type(version) is not int:
        raise FormatError('it is not an object with the integer "format"', place=place)
    if version != FORMAT:
        raise FormatError.unknown_version(version, FORMAT, place=place)
    if stored.keys() != _MEMBERS or not _are_of_their_kinds(**stored):
        raise FormatError('its "change" or "ref" is not as format 1 has it, or it has other members', place=place)
    return Tag(stored["ref"], stored["change"])


def _are_of_their_kinds(change: Any, format: Any, ref: Any) -> bool:
    is_ref = isinstance(ref, str) and ref.startswith(refs.PREFIX) and refs.is_digest(ref[len(refs.PREFIX) :])
    return (ref is None or is_ref) and isinstance(change, str) and _CHANGE.fullmatch(change) is not None


def resolve(backend: Backend, name: str) -> str:
    """The ref that a tag names.

    Raises:
        TagNotFound: There is no such tag.
        InvalidKey: It is no name of a tag.
        FormatError: Its object is damaged, or of a version that this release does not read.
    """
    ref, _ = _read(backend, name)
    if ref is None:
        raise TagNotFound(name)
    return ref


def set_tag(
    backend: Backend,
    lease: Lease,
    name: str,
    ref: str,
    *,
    expected: Expected = ANY,
    cancel: Cancel = NEVER,
) -> None:
    """Makes a tag name an artifact, which it keeps from being collected.

    Args:
        expected: The ref that the tag must name now; None: there must be no such tag; ANY: whatever it names.

    Raises:
        ArtifactNotFound: There is none of this ref.
        TagConflict: The tag names something else than expected, or the artifact is being deleted.
        InvalidKey: As check_new().
        InvalidRef: A ref is none.
        LeaseExpired: Garbage was collected while this did not look.
        FastDatastoreError: It may be set all the same.
    """
    check_new(name)
    digest = refs.digest_of(ref)
    if isinstance(expected, str):
        refs.digest_of(expected)
    with lease.hold(cancel) as hold:
        hold.spare([refs.artifact_name(digest)])
        _check(backend, name, ref)
        before, etag = _write(backend, hold, name, ref, expected)
        try:
            # Who deletes the artifact says so before looking for tags: one of the two of us sees the other.
            _check(backend, name, ref)
        except (ArtifactNotFound, TagConflict):
            with contextlib.suppress(Modified):  # somebody else has set it since
                _take_back(backend, hold, name, before, etag)
            raise


def delete_tag(backend: Backend, name: str) -> None:
    """Deletes a tag; that there is none is no error.

    Raises:
        InvalidKey: It is no name of a tag.
    """
    backend.delete([object_name(name)])


def tags(backend: Backend, cancel: Cancel = NEVER) -> Iterator[tuple[str, str | FormatError]]:
    """All tags with their refs, in any order; a damaged one with what is wrong."""

    class TagRead(Read):
        def __init__(self, name: str) -> None:
            super().__init__(name, self._room)
            self.data = bytearray()

        def _room(self, size: int) -> tuple[Buffer, ...]:
            if size > MAX_SIZE:
                raise FormatError(f"it has {size} bytes; the most is {MAX_SIZE}", place=self.name)
            self.data = bytearray(size)
            return (self.data,)

    listed = (entry.name for entry in backend.list(PREFIX))
    for read in backend.read((TagRead(name) for name in listed if tag_name(name) is not None), cancel.check):
        name = tag_name(read.name)
        assert name is not None
        if isinstance(read.error, NotFound):  # deleted meanwhile
            continue
        if isinstance(read.error, FormatError):
            yield name, read.error
            continue
        if read.error is not None:
            raise read.error
        try:
            ref = decode(read.data, read.name).ref
        except FormatError as error:
            yield name, error
            continue
        if ref is not None:
            yield name, ref


def tags_of(backend: Backend, ref: str, cancel: Cancel = NEVER) -> tuple[str, ...]:
    """The tags that name an artifact.

    Raises:
        FormatError: A tag cannot be read, so that it may be one of them.
    """
    return tuple(sorted(name for name, named in sound_tags(backend, cancel) if named == ref))


def sound_tags(backend: Backend, cancel: Cancel = NEVER) -> Iterator[tuple[str, str]]:
    """All tags with their refs.

    Raises:
        FormatError: One cannot be read.
    """
    for name, ref in tags(backend, cancel):
        if isinstance(ref, FormatError):
            raise ref
        yield name, ref


def _read(backend: Backend, name: str) -> tuple[str | None, str]:
    """Ref and etag."""
    place = object_name(name)
    try:
        data, etag = small.read(backend, place, MAX_SIZE)
    except NotFound:
        return None, ""
    return decode(data, place).ref, etag


def _write(backend: Backend, hold: Hold, name: str, ref: str, expected: Expected) -> tuple[str | None, str]:
    """What the tag named before, and the etag that it has now."""
    while True:
        before, etag = _read(backend, name)
        if expected is not ANY and before != expected:
            raise TagConflict(f"it names {before or 'nothing'}, not {expected or 'nothing'}", name)
        hold.confirm()
        try:
            return before, small.write(backend, object_name(name), encode(Tag.to(ref)), over=etag)
        except Modified:
            continue


def _take_back(backend: Backend, hold: Hold, name: str, before: str | None, etag: str) -> None:
    """Makes it what it was before; nobody has kept what that named, so that may be gone."""
    if before is not None:
        hold.spare([refs.artifact_name(refs.digest_of(before))])
        hold.confirm()
        etag = small.write(backend, object_name(name), encode(Tag.to(before)), over=etag)
        try:
            _check(backend, name, before)
            return
        except (ArtifactNotFound, TagConflict):
            pass
    small.write(backend, object_name(name), encode(Tag.to(None)), over=etag)


def _check(backend: Backend, name: str, ref: str) -> None:
    """Raises ArtifactNotFound or TagConflict if no tag may name this artifact."""
    digest = refs.digest_of(ref)
    if deletions.is_being_deleted(backend, digest):
        raise TagConflict(f"artifact {ref} is being deleted, or was within the hour by somebody who has died", name)
    ((_, found),) = backend.found([refs.artifact_name(digest)])
    if found is None:
        raise ArtifactNotFound(ref)
