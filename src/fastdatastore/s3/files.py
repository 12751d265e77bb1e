"""The files that an S3 client makes for its results; they live until it is closed."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
import threading
import warnings
from collections.abc import Callable
from functools import partial
from itertools import count
from pathlib import Path

from fastdatastore.engine.sinks import disk_error


class ResultFiles:
    """A directory under `tmproot`, made when it is first needed. Thread-safe; a fork's child gets its own.

    What nobody closes goes when the process ends.
    """

    def __init__(self, tmproot: str) -> None:
        self.tmproot = tmproot
        self._lock = threading.Lock()
        self._directory: Path | None = None
        self._remove: Callable[[], None] | None = None
        self._owner = 0  # the process that made it
        self._names = count()
        self._is_closed = False

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
