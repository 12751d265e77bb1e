"""What an upload reads from: memory, a file, a file object; any part of it, any number of times."""

from __future__ import annotations

import os
from io import BufferedIOBase, RawIOBase
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from fastdatastore.engine.bytesview import bytes_of, cut, pieces_of, size_of
from fastdatastore.engine.planes.local import local as _native
from fastdatastore.errors import ConfigurationError, LocalFileError, LocalFileNotFound, SourceChanged

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from fastdatastore.engine.bytesview import Buffers


class Source(Protocol):
    """Bytes that can be read again, so that a part can be sent again. `in_place`: a part takes no memory of ours."""

    in_place: bool
    size: int

    def part(self, offset: int, length: int) -> Buffers: ...

    def check_unchanged(self) -> None: ...

    def close(self) -> None: ...


def crc_of(algorithm: int, buffers: Buffers, before: int = 0) -> int:
    """The CRC of one or several buffers, one behind the other."""
    for each in buffers if isinstance(buffers, tuple) else (buffers,):
        before = _native.crc(algorithm, each, before)
    return before


class MemorySource:
    """A bytes-like object; parts are views of it, nothing is copied."""

    in_place = True

    def __init__(self, data: Buffer) -> None:
        self._view = bytes_of(data)
        self.size = self._view.nbytes

    def part(self, offset: int, length: int) -> Buffer:
        return self._view[offset : offset + length]

    def check_unchanged(self) -> None:
        """Memory is the caller's word."""

    def close(self) -> None:
        self._view = memoryview(b"")


class PiecesSource:
    """Several bytes-like objects as one, one behind the other; parts are views of them, nothing is copied or joined."""

    in_place = True

    def __init__(self, pieces: tuple[Buffer, ...]) -> None:
        self._views = pieces_of(pieces)
        self.size = size_of(self._views)

    def part(self, offset: int, length: int) -> Buffers:
        return cut(self._views, offset, length) or b""

    def check_unchanged(self) -> None:
        """Memory is the caller's word."""

    def close(self) -> None:
        self._views = ()


class FileSource:
    """A regular file; parts are read into recycled memory."""

    in_place = False

    def __init__(self, pool: _native.BufferPool, path: Path) -> None:
        self._pool = pool
        self._path = path.absolute()  # the working directory may change meanwhile
        try:
            self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
            self._stat = os.fstat(self._fd)
        except FileNotFoundError as error:
            raise LocalFileNotFound(f"there is no file {path}; check the path") from error
        except OSError as error:
            raise LocalFileError(f"cannot read {path}: {error.strerror}; check the path and its permissions") from error
        except ValueError as error:
            raise LocalFileError(f"{os.fspath(path)!r} is no path ({error}); check it") from None
        if not os.path.isfile(self._fd):  # noqa: PTH113 - a descriptor, not a path
            os.close(self._fd)
            raise LocalFileError(f"{path} is not a regular file; give the path of one")
        self.size = self._stat.st_size

    def part(self, offset: int, length: int) -> Buffer:
        view = memoryview(self._pool.take(length))
        at = 0
        while at < length:
            try:
                got = os.preadv(self._fd, [view[at:]], offset + at)
            except OSError as error:
                raise LocalFileError(f"cannot read {self._path}: {error.strerror}; check the disk") from error
            if not got:
                raise SourceChanged(f"{self._path} shrank while it was uploaded; upload it again when it is at rest")
            at += got
        return view

    def check_unchanged(self) -> None:
        now = os.fstat(self._fd)
        before = self._stat
        if (now.st_size, now.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
            raise SourceChanged(f"{self._path} changed while it was uploaded; upload it again when it is at rest")
        try:
            there = self._path.stat()
        except OSError:  # removed: what was read is what it was
            return
        if (there.st_dev, there.st_ino) != (before.st_dev, before.st_ino):
            raise SourceChanged(f"{self._path} was replaced while it was uploaded; upload it again when it is at rest")

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class FileObjectSource:
    """A seekable binary file object, read from its start; parts are read into recycled memory.

    What its methods raise goes to the user as it is.
    """

    in_place = False

    def __init__(self, pool: _native.BufferPool, file: RawIOBase | BufferedIOBase) -> None:
        if file.closed:
            raise ConfigurationError(f"{file!r} is closed; give one that is open")
        self._pool = pool
        self._file = file
        self.size = file.seek(0, os.SEEK_END)

    def part(self, offset: int, length: int) -> Buffer:
        view = memoryview(self._pool.take(length))
        self._file.seek(offset)
        at = 0
        while at < length:
            got = self._file.readinto(view[at:])
            if got is None:
                raise ConfigurationError(f"{self._file!r} does not wait for its bytes; make it blocking")
            if not 0 < got <= length - at:
                raise SourceChanged(f"{self._file!r} gave {at + got:,} of {length:,} bytes; do not touch it meanwhile")
            at += got
        return view

    def check_unchanged(self) -> None:
        if self._file.seek(0, os.SEEK_END) != self.size:
            raise SourceChanged(f"{self._file!r} changed its size while it was uploaded; do not touch it meanwhile")

    def close(self) -> None:
        """Like metaflow.S3, which closes what it was given."""
        self._file.close()
