"""Stores for tests: of a directory, or of a bucket on a running server."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

from fastdatastore import ArtifactStore
from fastdatastore.testing.servers import RunningServer
from tests.support.clients import client_of

Open: TypeAlias = Callable[..., Any]
"""A face of the one store of a test: ArtifactStore, or another one that it is given; and arguments for it."""


def in_directory(path: Path) -> Open:
    def open_store(kind: Any = ArtifactStore, **how: Any) -> Any:
        return kind((path / "store").as_uri(), durable=False, **how)

    return open_store


def in_bucket(server: RunningServer, bucket: str) -> Open:
    def open_store(kind: Any = ArtifactStore, **how: Any) -> Any:
        return kind(f"s3://{bucket}/a/store", client=client_of(server), **how)

    return open_store
