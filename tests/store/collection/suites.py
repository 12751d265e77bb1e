"""Fixtures: an empty store in a directory, and one on servers: a strict one, a real one, one with finer stamps."""

from __future__ import annotations

from pathlib import Path

import pytest

from fastdatastore.store.backends.base import Backend
from fastdatastore.store.backends.local import LocalBackend
from fastdatastore.store.backends.s3 import S3Backend
from fastdatastore.testing.servers import RunningServer
from tests.support.clients import client_of


class OnDirectory:
    """Not flushed, because that takes a busy disk minutes."""

    @pytest.fixture
    def backend(self, tmp_path: Path) -> LocalBackend:
        return LocalBackend(tmp_path / "store", durable=False)


@pytest.mark.servers("null", "seaweedfs", "minio")
class OnServers:
    """The collection asks of a server nothing that the conformance suite does not hold every server to."""

    @pytest.fixture
    def backend(self, s3_server: RunningServer, bucket: str) -> Backend:
        return S3Backend(client_of(s3_server), bucket, "a/store")
