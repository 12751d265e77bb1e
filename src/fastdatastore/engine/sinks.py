"""Where a download lands: recycled memory, a file, or a file only when memory is short."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from fastdatastore.engine.planes.local import local as _native
from fastdatastore.errors import FastDatastoreError, InsufficientDiskSpace, LocalFileError

if TYPE_CHECKING:
    from typing_extensions import Buffer


def disk_error(error: OSError, path: Path, size: int) -> FastDatastoreError:
    """Ours for what the disk said while `size` bytes were to be written to `path`."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return InsufficientDiskSpace(
            f"the disk is full: {path} needs {size:,} bytes; free some space or choose another tmproot"
        )
    return LocalFileError(f"cannot write {path}: {error.strerror}; check the directory and its permissions")


class Sink(Protocol):
    """Where one object's bytes go. `in_place`: targets of any length are the final place, nothing is staged."""

    in_place: bool

    def open(self, size: int) -> None: ...

    def target(self, offset: int, length: int) -> Buffer: ...

    def landed(self, offset: int, target: Buffer, length: int) -> None: ...

    def take(self, content: bytes) -> None:
        """The whole object, when it came with its head."""

    def close(self, ok: bool) -> memoryview:
        """The result is whole and verified, or is to leave no trace. Returns its bytes if they are in memory."""


class MemorySink:
    """A whole object in one region of recycled memory; the result is a read-only view of it."""

    in_place = True

    def __init__(self, pool: _native.BufferPool) -> None:
        self._pool = pool
        self._view = memoryview(b"")

    def open(self, size: int) -> None:
        self._view = memoryview(self._pool.take(size)) if size else memoryview(b"")

    def target(self, offset: int, length: int) -> Buffer:
        return self._view[offset : offset + length]

    def landed(self, offset: int, target: Buffer, length: int) -> None:
        """It is where it belongs already."""

    def take(self, content: bytes) -> None:
        self._view = memoryview(content)

    def close(self, ok: bool) -> memoryview:
        view = self._view.toreadonly()
        self._view = memoryview(b"")
        return view if ok else memoryview(b"")


class FileSink:
    """A file: written beside its place under a temporary name, moved there when it is whole and verified."""

    in_place = False

    def __init__(self, pool: _native.BufferPool, path: Path) -> None:
        self.path = path
        self._pool = pool
        self._temporary = path.with_name(f".{path.name[:200]}.{os.getpid()}.{id(self):x}.part")
        self._fd = -1
        self._size = 0

    def open(self, size: int) -> None:
        self._size = size
        try:
            self._fd = os.open(self._temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o666)
            # The space is claimed before a byte is fetched: a full disk is said at once.
            if size and hasattr(os, "posix_fallocate"):
                os.posix_fallocate(self._fd, 0, size)
        except OSError as error:
            raise disk_error(error, self.path, size) from error

    def target(self, offset: int, length: int) -> Buffer:
        return memoryview(self._pool.take(length))

    def landed(self, offset: int, target: Buffer, length: int) -> None:
        self._write(memoryview(target)[:length], offset)

    def take(self, content: bytes) -> None:
        self.open(len(content))
        self._write(memoryview(content), 0)

    def _write(self, view: memoryview, offset: int) -> None:
        try:
            while view:
                done = os.pwrite(self._fd, view, offset)
                view, offset = view[done:], offset + done
        except OSError as error:
            raise disk_error(error, self.path, self._size) from error

    def close(self, ok: bool) -> memoryview:
        if self._fd < 0:
            return memoryview(b"")
        try:
            os.close(self._fd)
            if ok:
                self._temporary.replace(self.path)
        except OSError as error:
            ok = False
            raise disk_error(error, self.path, self._size) from error
        finally:
            self._fd = -1
            if not ok:
                self._temporary.unlink(missing_ok=True)
        return memoryview(b"")


class Budget:
    """How many bytes of results may be in memory; shared by the sinks of one call."""

    def __init__(self, limit: int) -> None:
        self.left = limit

    def grant(self, size: int) -> bool:
        if size > self.left:
            return False
        self.left -= size
        return True


class SpillSink:
    """Memory while the budget lasts, then a file at the path that `make_path` gives.

    Attributes:
        path: The file; None while the result is in memory.
    """

    in_place = True

    def __init__(self, pool: _native.BufferPool, budget: Budget, make_path: Callable[[], Path]) -> None:
        self.path: Path | None = None
        self._pool = pool
        self._budget = budget
        self._make_path = make_path
        self._chosen: Sink = MemorySink(pool)

    def _choose(self, size: int) -> Sink:
        if not self._budget.grant(size):
            self.path = self._make_path()
            self._chosen = FileSink(self._pool, self.path)
            self.in_place = False
        return self._chosen

    def open(self, size: int) -> None:
        self._choose(size).open(size)

    def target(self, offset: int, length: int) -> Buffer:
        return self._chosen.target(offset, length)

    def landed(self, offset: int, target: Buffer, length: int) -> None:
        self._chosen.landed(offset, target, length)

    def take(self, content: bytes) -> None:
        self._choose(len(content)).take(content)

    def close(self, ok: bool) -> memoryview:
        return self._chosen.close(ok)
