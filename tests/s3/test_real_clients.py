"""boto3 reads what we write, we read what boto3 writes, on every server."""

from __future__ import annotations

import contextlib
import io
import json
import random
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import ClientError

from fastdatastore import S3, S3PutObject, _native
from fastdatastore.config import MIB
from fastdatastore.engine import integrity
from fastdatastore.engine.client import Client
from fastdatastore.testing.servers import RunningServer

LARGE = random.Random(11).randbytes(21 * MIB + 3)
SMALL = LARGE[:100_000]

# Ceph 16 knows none of x-amz-checksum-*, moto forgets what it was given.
NO_CHECKSUMS = ("ceph", "moto")

PLAIN = "when_required"
DEFAULT = "when_supported"


def _boto3(server: RunningServer, checksums: Any) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=server.url,
        aws_access_key_id=server.access_key,
        aws_secret_access_key=server.secret_key,
        region_name=server.region,
        config=Config(
            s3={"addressing_style": "path"},
            request_checksum_calculation=checksums,
            response_checksum_validation=checksums,
            retries={"total_max_attempts": 2},
            proxies={},
        ),
    )


@pytest.fixture(params=[PLAIN, DEFAULT])
def peer(s3_server: RunningServer, request: pytest.FixtureRequest) -> Iterator[Any]:
    """boto3's client, without checksums and with its defaults."""
    with contextlib.closing(_boto3(s3_server, request.param)) as client:
        yield client


@pytest.mark.parametrize("content", [b"", SMALL, LARGE], ids=["empty", "single", "multipart"])
def test_boto3_reads_what_we_wrote(s3: S3, bucket: str, peer: Any, content: bytes) -> None:
    s3.put_many([S3PutObject("our/key", content, content_type="text/x-test", metadata={"ü": 1})])
    reply = peer.get_object(Bucket=bucket, Key="our/key", ChecksumMode="ENABLED")
    assert reply["Body"].read() == content
    assert reply["ContentType"] == "text/x-test"
    assert json.loads(reply["Metadata"]["metaflow-user-attributes"]) == {"ü": 1}
    assert peer.head_object(Bucket=bucket, Key="our/key")["ContentLength"] == len(content)
    listed = peer.list_objects_v2(Bucket=bucket, Prefix="our/")["Contents"]
    assert [(entry["Key"], entry["Size"]) for entry in listed] == [("our/key", len(content))]


@pytest.mark.parametrize("content", [b"", SMALL, LARGE], ids=["empty", "single", "large"])
def test_we_read_what_boto3_put_at_once(s3: S3, bucket: str, peer: Any, content: bytes) -> None:
    peer.put_object(
        Bucket=bucket,
        Key="theirs",
        Body=content,
        ContentType="text/x-test",
        Metadata={"metaflow-user-attributes": json.dumps({"a": 1})},
    )
    got = s3.get("theirs")
    assert got.blob == content
    assert (got.content_type, got.metadata) == ("text/x-test", {"a": 1})


def test_we_read_what_boto3_put_in_parts(s3: S3, bucket: str, peer: Any) -> None:
    config = TransferConfig(multipart_threshold=5 * MIB, multipart_chunksize=5 * MIB, max_concurrency=2)
    peer.upload_fileobj(io.BytesIO(LARGE), bucket, "theirs", Config=config)
    assert s3.get("theirs").blob == LARGE


@pytest.mark.fault(58)
@pytest.mark.parametrize("algorithm", integrity.ALGORITHMS)
def test_we_verify_by_the_checksum_that_boto3_gave(
    client: Client, bucket: str, s3_server: RunningServer, algorithm: str
) -> None:
    value = integrity.encode(algorithm, _native.crc(integrity.ALGORITHMS[algorithm], LARGE))
    with contextlib.closing(_boto3(s3_server, PLAIN)) as peer:
        peer.put_object(Bucket=bucket, Key="key", Body=LARGE, **{f"Checksum{algorithm.upper()}": value})
    got = client.run_one(client.get(bucket, "key"))
    assert got.content == LARGE
    kept = s3_server.name not in NO_CHECKSUMS
    assert got.verified_by == (algorithm if kept else "length")


def test_boto3_sees_no_unfinished_upload_of_ours(s3: S3, bucket: str, peer: Any) -> None:
    s3.put("large", LARGE)
    assert not peer.list_multipart_uploads(Bucket=bucket).get("Uploads")
    with pytest.raises(ClientError, match="404"):
        peer.head_object(Bucket=bucket, Key="missing")
