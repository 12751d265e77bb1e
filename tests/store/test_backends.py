"""Back ends of a store: the conformance suite on each of them, and what is each one's own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from fastdatastore.store.backends.base import Backend
from fastdatastore.store.backends.local import LocalBackend
from fastdatastore.store.backends.s3 import S3Backend
from fastdatastore.testing.servers import RunningServer
from tests.store.conformance import BackendConformance
from tests.support.clients import client_of


class TestLocal(BackendConformance):
    """A directory. Most of it is not flushed, because that takes a busy disk minutes."""

    @pytest.fixture
    def another(self, tmp_path: Path) -> Callable[[], Backend]:
        return lambda: LocalBackend(tmp_path / "store", durable=False)

    @pytest.fixture
    def backend(self, another: Callable[[], Backend]) -> Backend:
        return another()


class TestS3(BackendConformance):
    """A prefix of a bucket, on every server."""

    @pytest.fixture
    def many(self, s3_server: RunningServer) -> int:
        return 1500 if s3_server.name == "moto" else 5000  # still two pages of a listing

    @pytest.fixture
    def another(self, s3_server: RunningServer, bucket: str) -> Callable[[], Backend]:
        return lambda: S3Backend(client_of(s3_server), bucket, "a/store")

    @pytest.fixture
    def backend(self, another: Callable[[], Backend]) -> Backend:
        return another()
