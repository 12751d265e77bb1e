"""Buckets that keep versions: each put is one, and each can be read, asked about and deleted for good."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from fastdatastore import S3
from fastdatastore.config import MIB
from fastdatastore.errors import NotFound
from fastdatastore.testing.servers import RunningServer

LARGE = bytes(range(256)) * (17 * MIB // 256)


@pytest.fixture
def versioned(s3: S3, bucket: str, control: Any, s3_server: RunningServer) -> S3:
    """An S3 rooted at a bucket that keeps versions."""
    if s3_server.name == "null":
        pytest.skip("null keeps no versions")
    control.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    return s3


def test_each_put_makes_a_version_that_can_be_read(versioned: S3) -> None:
    s3 = versioned
    first = s3.put("key", b"first", metadata={"n": 1})
    second = s3.put("key", LARGE)
    assert first == second == first + ""
    assert first.version_id
    assert second.version_id
    assert first.version_id != second.version_id
    assert s3.get("key").blob == LARGE
    assert s3.get("key", version_id=first.version_id).blob == b"first"
    assert s3.get("key", version_id=second.version_id).blob == LARGE
    assert s3.info("key", version_id=first.version_id).metadata == {"n": 1}
    assert s3.info("key", version_id=first.version_id).size == 5
    assert s3.info("key").version_id == second.version_id
    assert s3.get("key", version_id=first.version_id).version_id == first.version_id


def test_delete_hides_an_object_and_deleting_a_version_is_for_good(versioned: S3) -> None:
    s3 = versioned
    first = s3.put("key", b"first").version_id
    second = s3.put("key", b"second").version_id
    s3.delete("key")
    with pytest.raises(NotFound):
        s3.get("key")
    assert s3.get("key", version_id=second).blob == b"second"
    s3.delete("key", version_id=first)
    with pytest.raises(NotFound):
        s3.get("key", version_id=first)
    assert not s3.info("key", version_id=first, return_missing=True).exists


def test_without_versions_there_is_no_id_but_an_ETag(s3: S3) -> None:
    url = s3.put("key", b"x")
    assert url.etag
    assert url.version_id is None
    again = pickle.loads(pickle.dumps(url))
    assert (again, again.etag) == (url, url.etag)
    assert s3.put("key", b"y", overwrite=False).etag is None
