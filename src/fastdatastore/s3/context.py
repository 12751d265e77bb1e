"""What the verbs of one client work on."""

from __future__ import annotations

from dataclasses import dataclass

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
