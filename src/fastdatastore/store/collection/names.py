"""Sets of the names of chunks and artifacts, as the collection's objects hold them: the lists, and the pardons."""

from __future__ import annotations

import secrets
import struct
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, overload

from fastdatastore.errors import FormatError
from fastdatastore.store import ref, small
from fastdatastore.store.backends.base import Backend
from fastdatastore.store.digest import digest

if TYPE_CHECKING:
    from typing_extensions import Buffer

LISTS: Final = "gc/condemned/"
PARDONS: Final = "gc/pardons/"

MAGIC: Final = b"FDSG"
VERSION: Final = 1
HEAD_SIZE: Final = 32
KEY_SIZE: Final = 33
MOST: Final = 1 << 20
MAX_SIZE: Final = HEAD_SIZE + KEY_SIZE * MOST

_HEAD = struct.Struct("<4sB3xQ16s")
_ARTIFACT, _CHUNK = b"a", b"c"
_KINDS = {_ARTIFACT: ref.artifact_name, _CHUNK: ref.chunk_name}


def key_of(name: str) -> bytes:
    """The 33 bytes that stand for the name of an artifact's manifest or of a chunk.

    Raises:
        ValueError: It is the name of something else.
    """
    hexadecimal = name[-64:]
    for kind, name_of in _KINDS.items():
        if ref.is_digest(hexadecimal) and name == name_of(hexadecimal):
            return kind + bytes.fromhex(hexadecimal)
    raise ValueError(f"{name!r} is no name of an artifact or a chunk")


def artifact_key(digest: str) -> bytes:
    """That of an artifact's manifest."""
    return _ARTIFACT + bytes.fromhex(digest)


def chunk_key(digest: bytes) -> bytes:
    """That of a chunk."""
    return _CHUNK + digest


def name_of(key: bytes) -> str:
    """The name that a key stands for."""
    return _KINDS[key[:1]](key[1:].hex())


def is_artifact(key: bytes) -> bool:
    """Whether it stands for a manifest."""
    return key[:1] == _ARTIFACT


@dataclass(frozen=True)
class Names(Sequence[bytes]):
    """Keys, sorted, each once: 33 bytes of memory a name.

    Args:
        keys: One after the other.
    """

    keys: bytes = field(default=b"", repr=False)

    @classmethod
    def of(cls, keys: Iterable[bytes]) -> Names:
        """Of keys in any order."""
        return cls(b"".join(sorted(set(keys))))

    def __len__(self) -> int:
        return len(self.keys) // KEY_SIZE

    @overload
    def __getitem__(self, index: int) -> bytes: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[bytes]: ...
    def __getitem__(self, index: int | slice) -> bytes | Sequence[bytes]:
        if isinstance(index, slice):
            return [self[at] for at in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        at = index % len(self) * KEY_SIZE
        return self.keys[at : at + KEY_SIZE]

    def __contains__(self, key: object) -> bool:
        if not isinstance(key, bytes):
            return False
        at = bisect_left(self, key) * KEY_SIZE
        return self.keys[at : at + KEY_SIZE] == key

    def __iter__(self) -> Iterator[bytes]:
        return each(self.keys)


def each(keys: Buffer) -> Iterator[bytes]:
    """The keys that follow one another."""
    view = memoryview(keys)
    return (bytes(view[at : at + KEY_SIZE]) for at in range(0, len(view), KEY_SIZE))


def encode(names: Names, chance: bytes) -> bytes:
    """The object that holds them.

    Args:
        chance: 16 bytes, so that no two objects have the same digest.
    """
    return _HEAD.pack(MAGIC, VERSION, len(names), chance) + names.keys


def decode(data: bytes, place: str) -> Names:
    """The names that an object holds.

    Raises:
        FormatError: It breaks a rule of the format, or is of a version that this release does not read.
    """
    if not HEAD_SIZE <= len(data) <= MAX_SIZE:
        raise FormatError(f"it has {len(data)} bytes; a list has {HEAD_SIZE} to {MAX_SIZE}", place=place)
    magic, version, count, chance = _HEAD.unpack_from(data)
    if magic != MAGIC:
        raise FormatError(f"it begins with {magic!r}, not with {MAGIC!r}", place=place)
    if version != VERSION:
        raise FormatError.unknown_version(version, VERSION, place=place)
    names = Names(data[HEAD_SIZE:])
    if len(names.keys) != count * KEY_SIZE or data[:HEAD_SIZE] != _HEAD.pack(MAGIC, VERSION, count, chance):
        raise FormatError(f"it has {len(data)} bytes for {count} names", place=place)
    before = b""
    for key in names:
        if key <= before or key[:1] not in _KINDS:
            raise FormatError("its names are not sorted, or of an unknown kind", place=place)
        before = key
    return names


def store_list(backend: Backend, names: Names) -> str:
    """Stores a list; its id, which is its digest."""
    data = encode(names, secrets.token_bytes(16))
    list_id = digest(data)
    small.write(backend, LISTS + list_id, data)
    return list_id


def read_list(backend: Backend, list_id: str) -> Names:
    """The names on a list.

    Raises:
        NotFound: There is none with this id.
        FormatError: It is damaged, or of a version that this release does not read.
    """
    place = LISTS + list_id
    data, _ = small.read(backend, place, MAX_SIZE)
    names = decode(data, place)
    if (found := digest(data)) != list_id:
        raise FormatError(f"its digest is {found}", place=place)
    return names


def store_pardon(backend: Backend, list_id: str, names: Names) -> None:
    """Says that these names of the list are wanted again."""
    data = encode(names, secrets.token_bytes(16))
    small.write(backend, f"{PARDONS}{list_id}/{digest(data)}", data)


def read_pardons(backend: Backend, list_id: str) -> set[bytes]:
    """The keys of all names on a list that are wanted again.

    Raises:
        FormatError: One is damaged, or of a version that this release does not read.
    """
    pardoned: set[bytes] = set()
    for entry in backend.list(f"{PARDONS}{list_id}/"):
        data, _ = small.read(backend, entry.name, MAX_SIZE)
        if (found := digest(data)) != entry.name.rsplit("/", 1)[1]:
            raise FormatError(f"its digest is {found}", place=entry.name)
        pardoned.update(decode(data, entry.name))
    return pardoned
