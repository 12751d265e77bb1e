"""A process that is killed at any moment of put, tag, delete and gc leaves a store that verifies, and all it tagged."""

from __future__ import annotations

from pathlib import Path

import pytest

from fastdatastore import ArtifactStore
from fastdatastore.testing.servers import RunningServer
from tests.store.killed import kill_again_and_again
from tests.support.clients import client_of


def in_a_directory(tmp_path: Path, times: int) -> None:
    url = (tmp_path / "store").as_uri()
    with ArtifactStore(url) as store:
        kill_again_and_again(url, store, times, 1.0, {})


def on_a_server(server: RunningServer, bucket: str, times: int) -> None:
    url = f"s3://{bucket}/a/store"
    with ArtifactStore(url, client=client_of(server)) as store:
        kill_again_and_again(url, store, times, 3.0, server.env())


def test_in_a_directory(tmp_path: Path) -> None:
    in_a_directory(tmp_path, 10)


@pytest.mark.servers("seaweedfs")
def test_on_a_server(s3_server: RunningServer, bucket: str) -> None:
    on_a_server(s3_server, bucket, 5)


@pytest.mark.long
def test_in_a_directory_at_two_hundred_moments(tmp_path: Path) -> None:
    in_a_directory(tmp_path, 200)


@pytest.mark.long
@pytest.mark.servers("seaweedfs")
def test_on_a_server_at_two_hundred_moments(s3_server: RunningServer, bucket: str) -> None:
    on_a_server(s3_server, bucket, 200)
