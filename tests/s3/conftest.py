"""The S3 client on a fresh bucket of each server."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from fastdatastore import S3
from fastdatastore.engine.client import Client
from fastdatastore.engine.delete import DeleteJob
from fastdatastore.engine.listing import ListJob
from fastdatastore.testing.servers import RunningServer
from tests.support.clients import client_of, s3_of


@pytest.fixture(scope="session")
def control(s3_server: RunningServer) -> Iterator[Any]:
    """botocore's client of `s3_server`; making one takes longer than most tests."""
    with contextlib.closing(s3_server.client()) as made:
        yield made


@pytest.fixture
def bucket(s3_server: RunningServer, control: Any) -> Iterator[str]:
    """The name of a fresh bucket on `s3_server`."""
    name = f"test-{secrets.token_hex(8)}"
    control.create_bucket(Bucket=name)
    yield name
    client = client_of(s3_server)
    found = client.run_one(ListJob(name, "", recursive=True))
    for _ in client.run(DeleteJob(name, entry.key) for entry in found.entries):
        pass
    # SeaweedFS has volumes for some dozens of buckets, no more.
    with contextlib.suppress(ClientError):
        control.delete_bucket(Bucket=name)


@pytest.fixture
def client(s3_server: RunningServer) -> Client:
    """An engine client of `s3_server`."""
    return client_of(s3_server)


@pytest.fixture
def s3(client: Client, bucket: str, tmp_path: Path) -> Iterator[S3]:
    """An S3 rooted at the fresh `bucket`; its files are made in tmp_path."""
    with s3_of(client, bucket, tmp_path) as made:
        yield made
