"""The files that an S3 client makes for its results; they live until it is closed."""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
from itertools import count
from pathlib import Path

from fastdatastore.engine.sinks import disk_error


class ResultFiles:
    """A directory under `tmproot`, made when it is first needed. Thread-safe; a fork's child gets its own."""

    def __init__(self, tmproot: str) -> None:
        self.tmproot = tmproot
        self._lock = threading.Lock()
        self._directory: Path | None = None
        self._owner = 0  # the process that made it
        self._names = count()

    def new_path(self) -> Path:
        """Where the next file may be written.

        Raises:
            InsufficientDiskSpace, LocalFileError: The directory cannot be made.
        """
        with self._lock:
            if self._directory is None or self._owner != os.getpid():
                self._owner = os.getpid()
                try:
                    # Absolute: the working directory may change while results live.
                    self._directory = Path(tempfile.mkdtemp(prefix="fastdatastore.s3.", dir=self.tmproot)).absolute()
                except OSError as error:
                    raise disk_error(error, Path(self.tmproot), 0) from error
            return self._directory / f"{next(self._names):08d}"

    def close(self) -> None:
        """Removes the files."""
        with self._lock:
            directory, self._directory = self._directory, None
        if directory is not None and self._owner == os.getpid():  # after a fork the files are the parent's
            shutil.rmtree(directory, ignore_errors=True)
