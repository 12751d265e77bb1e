"""A directory as a back end: file:///…, also one that several machines mount.

How an object gets there. It is written to `.partial/` in the root, flushed to the disk, and then gets its name: by
`link`, which fails where there is one already (if_none_match), else by `rename` under the lock of `.lock`, which is
where if_match is looked at. Whoever changes a name that others may have takes that lock, so that of two who have seen
the same etag one loses. Then the directory is flushed. So what write has handed back survives a power cut (unless
`durable` was switched off), and what a killed writer leaves behind lies in `.partial/`, where a writer removes it after
a day. What was deleted just before a power cut may be there again.

An etag is the file's modification time, inode and size. A conditional write draws the last six digits of its time by
lot: the file system's clock ticks every few milliseconds, and an inode may be used again within one.

It needs a POSIX file system with flock, that is one on local disks, NFS, Lustre or GPFS. Links within the root are the
owner's business and are followed; all of it must be one file system. An NFS client may go on for some seconds to take a
name for missing that another machine has just made, unless it is mounted with lookupcache=positive.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import math
import os
import secrets
import stat
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar
from urllib.parse import unquote, urlsplit

from fastdatastore import errors
from fastdatastore.engine.bytesview import pieces_of, places_of, size_of
from fastdatastore.engine.files import disk_error
from fastdatastore.store.backends.base import (
    UNKNOWN,
    Entry,
    Existence,
    Found,
    R,
    W,
    Watch,
    Write,
    check_name,
    check_prefix,
    is_name,
)
from fastdatastore.store.backends.overlap import overlapped

if TYPE_CHECKING:
    from _typeshed import StrPath

T = TypeVar("T")

PARTIAL: Final = ".partial"
LOCK: Final = ".lock"
STALE = 86_400.0  # seconds, after which nobody is still writing an object of some MiB

# Flushing takes a disk milliseconds that it spends once for all who wait; copying keeps no more than a few cores busy.
_THREADS = 8
# To hand less than this to a thread costs more than to copy it.
_AT_ONCE = 128 << 10
_MOST_PIECES = os.sysconf("SC_IOV_MAX")
_NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)
_ABSENT = (FileNotFoundError, NotADirectoryError)
_NANOSECONDS_BY_LOT = 1_000_000


class LocalBackend:
    """Objects as files below `root`, which comes into being with the first of them.

    Args:
        durable: Flush each object to the disk before it is handed back. Without, a power cut may cost the last seconds
            of writes, and may leave files of the right length with wrong bytes; a killed process costs nothing either
            way.
    """

    def __init__(self, root: StrPath, *, durable: bool = True) -> None:
        self.root = Path(root).absolute()  # the working directory may change
        self.durable = durable
        self._has_swept = False

    @classmethod
    def from_url(cls, url: str, *, durable: bool = True) -> LocalBackend:
        """Of the directory that a file:// URL names (RFC 8089), such as file:///data/my%20store.

        Raises:
            ConfigurationError: It names none on this machine.
        """
        parts = urlsplit(url)
        path = unquote(parts.path)
        strange = parts.query or parts.fragment or parts.netloc not in ("", "localhost") or "\0" in path
        if parts.scheme != "file" or strange or not path.startswith("/"):
            raise errors.ConfigurationError(
                f"the URL of a directory is file:/// and its absolute path, such as file:///data/store, got {url!r}"
            )
        return cls(path, durable=durable)

    def __repr__(self) -> str:
        return f"<LocalBackend {self.root}{'' if self.durable else ' | not flushed'}>"

    def _path(self, name: str) -> Path:
        return self.root / check_name(name)

    # ---- reading ----

    def found(self, names: Iterable[str], watch: Watch = None) -> Generator[tuple[str, Existence], None, None]:
        clock = _Clock(self)
        for name in names:
            path = self._path(name)
            _look(watch)
            try:
                there = path.stat()
            except _ABSENT:
                yield name, None
            except PermissionError:
                yield name, UNKNOWN
            except OSError as error:
                raise _unreadable(error, path) from error
            else:
                yield name, clock.found(there) if stat.S_ISREG(there.st_mode) else None

    def read(self, requests: Iterable[R | None], watch: Watch = None) -> Generator[R, None, None]:
        return overlapped(requests, self._begin_read, _THREADS, watch)

    def _begin_read(self, item: R) -> Callable[[], None] | None:
        try:
            fd, item.size, item.etag = self._open(item.name)
        except errors.FastDatastoreError as error:
            item.error = error
            return None
        try:
            views = places_of(item.place(item.size), item.size)
        except Exception as error:  # the caller's own, too
            os.close(fd)
            item.error = error
            return None

        def rest() -> None:
            item.error = self._fill(item.name, fd, views)

        if item.size > _AT_ONCE:
            return rest
        rest()
        return None

    def _open(self, name: str) -> tuple[int, int, str]:
        """A descriptor, the size and the etag."""
        path = self._path(name)
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except _ABSENT:
            raise _not_found(path) from None
        except OSError as error:
            raise _unreadable(error, path) from error
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode):
            os.close(fd)
            raise _not_found(path)
        return fd, found.st_size, _etag(found)

    def _fill(self, name: str, fd: int, views: tuple[memoryview, ...]) -> errors.FastDatastoreError | None:
        path = self._path(name)
        try:
            if _moved(os.preadv, fd, views) == size_of(views):
                return None
            return errors.LocalFileError(f"{path} shrank while it was read; let nobody write to the files of a store")
        except OSError as error:
            return _unreadable(error, path)
        finally:
            os.close(fd)

    def list(self, prefix: str, watch: Watch = None) -> Generator[Entry, None, None]:
        pending = [check_prefix(prefix).rstrip("/")]
        while pending:
            _look(watch)
            above = pending.pop()
            try:
                with os.scandir(self.root / above) as found:
                    for each in found:
                        name = f"{above}/{each.name}" if above else each.name
                        if not is_name(name):
                            continue
                        if each.is_dir():
                            pending.append(name)
                        elif (entry := _entry(name, each)) is not None:
                            yield entry
            except _ABSENT:
                continue
            except OSError as error:
                raise _unreadable(error, self.root / above) from error

    # ---- writing ----

    def write(self, items: Iterable[W | None], watch: Watch = None) -> Generator[W, None, None]:
        return overlapped(items, self._begin_write, _THREADS, watch)

    def _begin_write(self, item: W) -> Callable[[], None] | None:
        def rest() -> None:
            try:
                item.etag = self._store(item)
            except errors.FastDatastoreError as error:
                item.error = error

        try:
            small = size_of(item.pieces) <= _AT_ONCE
        except (TypeError, BufferError):
            small = True  # it will be refused
        if not small or self.durable:
            return rest
        rest()
        return None

    def _store(self, item: Write) -> str:
        """Returns the etag."""
        path = self._path(item.name)
        views = pieces_of(item.pieces)
        size = size_of(views)
        try:
            fd, temporary = self._new_file()
            try:
                try:
                    _moved(os.pwritev, fd, views)
                    if item.if_none_match or item.if_match is not None:
                        _draw_time(fd)
                    if self.durable:
                        os.fsync(fd)
                    etag = _etag(os.fstat(fd))
                finally:
                    os.close(fd)
                self._name(item, temporary, path)
            finally:
                temporary.unlink(missing_ok=True)
            if self.durable:
                _flush(path.parent)
        except OSError as error:
            if isinstance(error, errors.FastDatastoreError):
                raise
            raise disk_error(error, path, size) from error
        return etag

    def _new_file(self) -> tuple[int, Path]:
        """A file without a name of its own yet."""
        temporary = self.root / PARTIAL / f"{os.getpid()}-{secrets.token_hex(8)}"
        fd = self._with_directory(
            temporary.parent, lambda: os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o666)
        )
        if not self._has_swept:
            self._has_swept = True
            self._sweep(os.fstat(fd).st_mtime)
        return fd, temporary

    def _sweep(self, now: float) -> None:
        """Removes what writers have left behind that were killed."""
        with contextlib.suppress(OSError), os.scandir(self.root / PARTIAL) as found:
            for each in found:
                with contextlib.suppress(OSError):
                    if each.stat().st_mtime < now - STALE:
                        os.unlink(each.path)  # noqa: PTH108 - a str from scandir

    def _name(self, item: Write, temporary: Path, path: Path) -> None:
        """Makes the file the object of that name, if the condition holds."""
        if item.if_none_match:
            try:
                self._with_directory(path.parent, lambda: path.hardlink_to(temporary))
                return
            except FileExistsError:
                raise _refused(path, "there is one already") from None
            except OSError as error:
                if error.errno not in _NO_LINKS:
                    raise
        with self._locked():
            if item.if_none_match and path.exists():
                raise _refused(path, "there is one already")
            if item.if_match is not None and item.if_match != (now := _etag_at(path)):
                raise _refused(path, f"it is {now or 'gone'}, not {item.if_match}")
            self._with_directory(path.parent, lambda: temporary.replace(path))

    def _with_directory(self, directory: Path, act: Callable[[], T]) -> T:
        """Does what may fail for want of the directory; then makes that, and does it again."""
        try:
            return act()
        except FileNotFoundError:
            self._make(directory)
            return act()

    def _make(self, directory: Path) -> None:
        try:
            directory.mkdir(exist_ok=True)
        except FileNotFoundError:
            self._make(directory.parent)
            directory.mkdir(exist_ok=True)
        if self.durable:
            _flush(directory.parent)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Against all who change names that others may have, on this machine and others."""
        path = self.root / LOCK
        fd = self._with_directory(self.root, lambda: os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o666))
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            yield
        finally:
            # Not by closing alone: a child that was forked meanwhile has the file open, too, and would keep the lock.
            fcntl.flock(fd, fcntl.LOCK_UN)
            os.close(fd)

    def delete(self, names: Iterable[str], watch: Watch = None) -> bool:
        for name in names:
            _look(watch)
            path = self._path(name)
            try:
                if path.is_file():  # nothing is made where there is no store
                    with self._locked():
                        path.unlink(missing_ok=True)
            except OSError as error:
                raise errors.LocalFileError(
                    f"cannot delete {path}: {error.strerror}; check the permissions of its directory"
                ) from error
        return True

    def now(self, watch: Watch = None) -> float:
        _look(watch)
        try:
            fd, temporary = self._new_file()
            try:
                return os.fstat(fd).st_mtime
            finally:
                os.close(fd)
                temporary.unlink(missing_ok=True)
        except OSError as error:
            raise disk_error(error, self.root, 0) from error


class _Clock:
    """The file system's, asked once: to ask takes a file."""

    def __init__(self, backend: LocalBackend) -> None:
        self._backend = backend
        self._ahead: float | None = None  # of this machine's monotonic clock

    def found(self, there: os.stat_result) -> Found:
        """Its age is infinite where nothing can be written, and so nothing depends on it."""
        if self._ahead is None:
            try:
                self._ahead = self._backend.now() - time.monotonic()
            except errors.FastDatastoreError:
                self._ahead = math.inf
        return Found(there.st_size, there.st_mtime, max(0.0, time.monotonic() + self._ahead - there.st_mtime))


def _look(watch: Watch) -> None:
    if watch is not None:
        watch()


def _moved(move: Callable[[int, list[memoryview], int], int], fd: int, views: Iterable[memoryview]) -> int:
    """Reads or writes all of the views from the start of the file. Returns how many bytes: fewer at the file's end."""
    left = [*views]
    offset = at = 0
    while at < len(left):
        done = move(fd, left[at : at + _MOST_PIECES], offset)
        if not done:
            break
        offset += done
        while at < len(left) and done >= left[at].nbytes:
            done -= left[at].nbytes
            at += 1
        if done:
            left[at] = left[at][done:]
    return offset


def _draw_time(fd: int) -> None:
    found = os.fstat(fd)
    modified = found.st_mtime_ns // _NANOSECONDS_BY_LOT * _NANOSECONDS_BY_LOT
    os.utime(fd, ns=(found.st_atime_ns, modified + secrets.randbelow(_NANOSECONDS_BY_LOT)))


def _flush(directory: Path) -> None:
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _etag(found: os.stat_result) -> str:
    return f"{found.st_mtime_ns:x}-{found.st_ino:x}-{found.st_size:x}"


def _etag_at(path: Path) -> str | None:
    try:
        return _etag(path.stat())
    except _ABSENT:
        return None


def _entry(name: str, found: os.DirEntry[str]) -> Entry | None:
    """None for what is gone meanwhile, or is no file."""
    try:
        there = found.stat()
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(there.st_mode):
        return None
    return Entry(name, there.st_size, there.st_mtime, _etag(there))


def _not_found(path: Path) -> errors.NotFound:
    return errors.NotFound(f"there is no object {path}")


def _refused(path: Path, why: str) -> errors.Modified:
    return errors.Modified(f"{path} is not stored, because {why}")


def _unreadable(error: OSError, path: Path) -> errors.LocalFileError:
    return errors.LocalFileError(f"cannot read {path}: {error.strerror}; check the path, its permissions and the disk")
