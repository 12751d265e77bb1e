"""The files that an S3 client makes for its results; they live until it is closed."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
import warnings
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from itertools import count
from pathlib import Path

from fastdatastore import forks
from fastdatastore.engine.files import disk_error


class ResultFiles:
    """A directory under `tmproot`, made when it is first needed. Thread-safe; a fork's child gets its own.

    What nobody closes goes when the process ends. Pickled, it is one that has no files yet.
    """

    def __init__(self, tmproot: str) -> None:
        self.tmproot = tmproot
        self._lock = forks.lock()
        self._directory: Path | None = None
        self._remove: Callable[[], None] | None = None
        self._owner = 0  # the process that made it
        self._names = count()
        self._is_closed = False

    def __reduce__(self) -> tuple[type[ResultFiles], tuple[str]]:
        return ResultFiles, (self.tmproot,)

    def directory(self) -> Path:
        """Where the files are.

        Raises:
            InsufficientDiskSpace, LocalFileError: It cannot be made.
        """
        with self._lock:
            if self._directory is None or self._owner != os.getpid():
                self._owner = os.getpid()
                try:
                    # Absolute: the working directory may change while results live.
                    self._directory = Path(tempfile.mkdtemp(prefix="fastdatastore.s3.", dir=self.tmproot)).absolute()
                except OSError as error:
                    raise disk_error(error, Path(self.tmproot), 0) from error
                self._remove = partial(_remove, self._directory, self._owner)
                atexit.register(self._remove)
            return self._directory

    def new_path(self) -> Path:
        """Where the next file may be written. Raises what `directory` does."""
        return self.directory() / f"{next(self._names):08d}"

    def write(self, content: memoryview) -> Path:
        """Writes a result that is in memory to a new file.

        Raises:
            InsufficientDiskSpace, LocalFileError: It cannot be written.
        """
        self.warn_if_closed(stacklevel=3)
        path = self.new_path()
        try:
            path.write_bytes(content)
        except OSError as error:
            path.unlink(missing_ok=True)
            raise disk_error(error, path, content.nbytes) from error
        return path

    def warn_if_closed(self, stacklevel: int) -> None:
        """Says that the client is used after its end; `stacklevel` as for warnings.warn, seen from the caller."""
        if self._is_closed:
            warnings.warn(
                "this S3 client was closed before: files that it makes now stay until the process ends; make a new one",
                DeprecationWarning,
                stacklevel + 1,
            )

    def close(self) -> None:
        """Removes the files."""
        with self._lock:
            self._is_closed = True
            self._directory, remove, self._remove = None, self._remove, None
        if remove is not None:
            atexit.unregister(remove)
            remove()


def _remove(directory: Path, owner: int) -> None:
    if owner == os.getpid():  # after a fork the files are the parent's
        shutil.rmtree(directory, ignore_errors=True)


class SpilledFile:
    """A result's file that nobody has been told of: it goes with the result, as memory would.

    Attributes:
        path: Where it is.
        known: Its path was given out: then it lives until the client is closed.
    """

    __slots__ = ("_owner", "known", "path")

    def __init__(self, path: Path) -> None:
        self.path = path
        self.known = False
        self._owner = os.getpid()

    def __del__(self) -> None:
        if not self.known and self._owner == os.getpid():  # in a fork's child it is the parent's
            with suppress(OSError):
                self.path.unlink()
