"""A download into a file, which appears when it is whole and verified."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import TYPE_CHECKING

from fastdatastore.engine.bytesview import cut, pieces_of
from fastdatastore.engine.planes.local import local as _native
from fastdatastore.errors import FastDatastoreError, InsufficientDiskSpace, LocalFileError

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from fastdatastore.engine.bytesview import Buffers

# Of a file's own name in that of its temporary one: with what is added it stays below the 255 bytes of a name.
_NAME_BYTES = 200
# From a C library that doesn't imitate what the file system cannot do.
_CANNOT_ALLOCATE = (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS)


def disk_error(error: OSError, path: Path, size: int) -> FastDatastoreError:
    """Ours for what the disk said while `size` bytes were to be written to `path`."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return InsufficientDiskSpace(
            f"the disk is full: {path} needs {size:,} bytes; free some space or choose another place (for results "
            "another tmproot)"
        )
    return LocalFileError(f"cannot write {path}: {error.strerror}; check the directory and its permissions")


class FileSink:
    """Written beside its place under a temporary name, moved there when it is whole and verified.

    A file that was there stays until then. The new one has the permissions that the umask leaves.

    Args:
        make_parents: Make the directories above `path` that are missing.
    """

    in_place = False

    def __init__(self, pool: _native.BufferPool, path: Path, make_parents: bool = False) -> None:
        self.path = path
        self._pool = pool
        self._make_parents = make_parents
        self._temporary = path
        self._fd = -1
        self._size = 0

    def need(self, size: int, length: int) -> int:
        return length

    def open(self, size: int) -> None:
        self._size = size
        short = os.fsencode(self.path.name)[:_NAME_BYTES].decode(errors="ignore")
        self._temporary = self.path.with_name(f".{short}.{os.getpid()}.{os.urandom(6).hex()}.part")
        try:
            if self._make_parents:
                self.path.parent.mkdir(parents=True, exist_ok=True)
            self._fd = os.open(self._temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o666)
            # The space is claimed before a byte is fetched: a full disk is said at once.
            if size and hasattr(os, "posix_fallocate"):
                self._claim(size)
        except OSError as error:
            raise disk_error(error, self.path, size) from error

    def _claim(self, size: int) -> None:
        try:
            os.posix_fallocate(self._fd, 0, size)
        except OSError as error:
            if error.errno not in _CANNOT_ALLOCATE:
                raise

    def target(self, offset: int, length: int) -> Buffer:
        return memoryview(self._pool.take(length))

    def landed(self, offset: int, target: Buffers, length: int) -> None:
        for view in cut(pieces_of(target), 0, length):
            self._write(view, offset)
            offset += view.nbytes

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
