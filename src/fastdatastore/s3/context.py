"""What the verbs of one client work on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fastdatastore.engine.client import Client
from fastdatastore.s3.files import ResultFiles
from fastdatastore.s3.roots import Root


@dataclass(frozen=True)
class Context:
    """Thread-safe: all state is in the engine's client and the files.

    Attributes:
        root: What keys are relative to.
        files: Where results that do not fit into memory go.
    """

    client: Client
    root: Root
    files: ResultFiles

    def write(self, content: memoryview) -> Path:
        """Writes a result that is in memory to a new file."""
        path = self.files.new_path()
        sink = self.client.file_sink(path)
        try:
            sink.open(content.nbytes)
            sink.landed(0, content, content.nbytes)
            sink.close(ok=True)
        finally:
            sink.close(ok=False)
        return path
