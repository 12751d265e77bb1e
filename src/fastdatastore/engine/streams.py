"""What can be read but once, from its beginning to an end that is not known: pipes, iterators, unseekable files."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from io import BufferedIOBase, RawIOBase
from typing import TYPE_CHECKING, Protocol, TypeAlias

from fastdatastore.engine.bytesview import bytes_of
from fastdatastore.engine.planes.local import local as _native
from fastdatastore.errors import ConfigurationError

if TYPE_CHECKING:
    from typing_extensions import Buffer

Streamable: TypeAlias = "RawIOBase | BufferedIOBase | Iterable[Buffer]"


class Stream(Protocol):
    """Bytes in recycled memory, block after block. What the user's object raises goes to the user as it is."""

    def read(self, length: int) -> memoryview:
        """The next `length` bytes; fewer only at the end, then none."""

    def close(self) -> None: ...


def stream_of(pool: _native.BufferPool, value: Streamable) -> Stream:
    """The stream that a user has given.

    Raises:
        ConfigurationError: It is nothing that bytes can be read from.
    """
    if isinstance(value, (RawIOBase, BufferedIOBase)):
        return FileStream(pool, value)
    if isinstance(value, (str, bytes, bytearray, memoryview)) or not isinstance(value, Iterable):
        raise ConfigurationError(
            "a stream must be a binary file object, or an iterable of bytes-like objects, "
            f"got {type(value).__name__}; put takes what is in memory"
        )
    return IteratorStream(pool, value)


class FileStream:
    """A binary file object, from where it stands; it is not closed."""

    def __init__(self, pool: _native.BufferPool, file: RawIOBase | BufferedIOBase) -> None:
        if file.closed:
            raise ConfigurationError(f"{file!r} is closed; give one that is open")
        if not file.readable():
            raise ConfigurationError(f"{file!r} is not readable; open it for reading")
        self._pool = pool
        self._file = file

    def read(self, length: int) -> memoryview:
        view = memoryview(self._pool.take(length))
        at = 0
        while at < length:
            got = self._file.readinto(view[at:])
            if got is None:
                raise ConfigurationError(f"{self._file!r} does not wait for its bytes; make it blocking")
            if not got:
                break
            at += got
        return view[:at]

    def close(self) -> None:
        """The file is the caller's."""


class IteratorStream:
    """What the bytes-like objects of an iterable make together."""

    def __init__(self, pool: _native.BufferPool, chunks: Iterable[Buffer]) -> None:
        self._pool = pool
        self._chunks: Iterator[Buffer] = iter(chunks)
        self._rest = memoryview(b"")

    def read(self, length: int) -> memoryview:
        view = memoryview(self._pool.take(length))
        at = 0
        while at < length:
            if not self._rest:
                try:
                    chunk = next(self._chunks)
                except StopIteration:
                    break
                self._rest = _bytes_of(chunk)
                continue
            step = min(length - at, self._rest.nbytes)
            view[at : at + step] = self._rest[:step]
            self._rest, at = self._rest[step:], at + step
        return view[:at]

    def close(self) -> None:
        self._rest = memoryview(b"")
        if isinstance(self._chunks, Generator):  # not read to its end, it shall let go of what it holds
            self._chunks.close()


def _bytes_of(chunk: Buffer) -> memoryview:
    try:
        return bytes_of(chunk)
    except TypeError:
        raise ConfigurationError(
            f"a stream's iterable must give bytes-like objects, got a {type(chunk).__name__}"
        ) from None
