"""The S3 client on a fresh bucket of each server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fastdatastore import S3
from fastdatastore.engine.client import Client
from fastdatastore.testing.servers import RunningServer
from tests.support.clients import client_of, s3_of


@pytest.fixture
def client(s3_server: RunningServer) -> Client:
    """An engine client of `s3_server`."""
    return client_of(s3_server)


@pytest.fixture
def s3(client: Client, bucket: str, tmp_path: Path) -> Iterator[S3]:
    """An S3 rooted at the fresh `bucket`; its files are made in tmp_path."""
    with s3_of(client, bucket, tmp_path) as made:
        yield made
