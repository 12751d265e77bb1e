"""presign: a plain HTTP client with the URL and nothing else can do what it says, and nothing else."""

from __future__ import annotations

import asyncio
import time
import urllib.error
import urllib.request
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from fastdatastore import S3, AsyncS3
from fastdatastore.auth.credentials import Credentials
from fastdatastore.engine.client import Client
from fastdatastore.errors import ConfigurationError, InvalidKey
from fastdatastore.testing.servers import RunningServer
from tests.support.clients import client_at
from tests.support.scripted_server import Reply, ScriptedServer, error_reply, in_turn
from tests.unit.test_sigv4_against_botocore import Fixed

KEYS = ["key", "a b/c+d", "é🌍?x=1&y#z", "100%/%41", "~-_.!*'()"]
UNCHECKED = {"null": "checks no signature in a query", "moto": "checks no signature"}


def _fetch(url: str, method: str = "GET", body: bytes | None = None) -> tuple[int, bytes]:
    # Otherwise urllib would call it a form, and moto would read it as one.
    headers = {} if body is None else {"content-type": "application/octet-stream"}
    request = urllib.request.Request(url, data=body, method=method, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as reply:
            return reply.status, reply.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


@pytest.fixture
def signed(s3: S3, s3_server: RunningServer) -> S3:
    """An S3 at a server that checks signatures."""
    if (why := UNCHECKED.get(s3_server.name)) is not None:
        pytest.skip(f"{s3_server.name} {why}")
    return s3


@pytest.mark.parametrize("key", KEYS)
def test_anybody_can_read_by_the_URL(s3: S3, s3_server: RunningServer, key: str) -> None:
    if s3_server.name == "null":
        pytest.skip("null wants its Authorization header")
    s3.put(key, b"content")
    assert _fetch(s3.presign(key)) == (200, b"content")


@pytest.mark.parametrize("key", KEYS)
def test_anybody_can_store_by_the_URL(s3: S3, s3_server: RunningServer, key: str) -> None:
    if s3_server.name == "null":
        pytest.skip("null wants its Authorization header")
    status, _ = _fetch(s3.presign(key, method="PUT"), "PUT", b"new content")
    assert status == 200
    assert s3.get(key).blob == b"new content"


def test_the_URL_is_for_one_method_one_key_and_a_time(signed: S3) -> None:
    signed.put("key", b"content")
    signed.put("other", b"content")
    url = signed.presign("key")
    assert _fetch(url, "PUT", b"overwritten")[0] == 403
    assert _fetch(url.replace("/key?", "/other?"))[0] == 403
    assert _fetch(url[:-1] + ("0" if url[-1] != "0" else "1"))[0] == 403
    assert signed.get("key").blob == b"content"
    short = signed.presign("key", expires=1)
    time.sleep(2.1)
    assert _fetch(short)[0] in (400, 401, 403)


def test_a_version_is_read_by_its_URL(signed: S3, bucket: str, control: Any) -> None:
    control.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    first = signed.put("key", b"first")
    signed.put("key", b"second")
    assert _fetch(signed.presign("key", version_id=first.version_id)) == (200, b"first")
    assert _fetch(signed.presign("key")) == (200, b"second")


def test_AsyncS3_presigns_the_same(signed: S3, client: Client, bucket: str, tmp_path: Path) -> None:
    async def main() -> str:
        async with AsyncS3(str(tmp_path), s3root=f"s3://{bucket}", client=client) as store:
            return await store.presign("key", expires=60)

    signed.put("key", b"content")
    assert _fetch(asyncio.run(main())) == (200, b"content")


def test_requester_and_owner_are_part_of_the_URL(tmp_path: Path) -> None:
    client = client_at("https://127.0.0.1:1", Fixed("session/token"))
    s3 = S3(str(tmp_path), requester_pays=True, expected_bucket_owner="123456789012", client=client)
    query = parse_qs(urlsplit(s3.presign("s3://bucket/key", expires=604800)).query)
    assert query["x-amz-request-payer"] == ["requester"]
    assert query["x-amz-expected-bucket-owner"] == ["123456789012"]
    assert query["X-Amz-Security-Token"] == ["session/token"]
    assert query["X-Amz-Expires"] == ["604800"]
    assert query["X-Amz-SignedHeaders"] == ["host"]


def test_a_URL_is_signed_by_the_servers_clock(tmp_path: Path) -> None:
    skewed = replace(error_reply(403, "RequestTimeTooSkewed"), headers={"date": "Tue, 01 Jan 2030 12:30:00 GMT"})
    with ScriptedServer(in_turn(skewed, Reply(200, b"x"))) as server:
        s3 = S3(str(tmp_path), s3root="s3://bucket", client=client_at(server.url))
        s3.get("key")
        query = parse_qs(urlsplit(s3.presign("key")).query)
    assert query["X-Amz-Date"][0].startswith("20300101T12")
    assert "/20300101/" in query["X-Amz-Credential"][0]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"expires": 0}, "expires must be"),
        ({"expires": 604801}, "expires must be"),
        ({"expires": 1.5}, "expires must be"),
        ({"expires": True}, "expires must be"),
        ({"method": "get"}, "method must be GET or PUT"),
        ({"method": "DELETE"}, "method must be GET or PUT"),
        ({"version_id": ""}, "version_id"),
        ({"version_id": "v", "method": "PUT"}, "makes a new version"),
    ],
)
def test_arguments_are_checked(tmp_path: Path, arguments: dict[str, Any], says: str) -> None:
    s3 = S3(str(tmp_path), s3root="s3://bucket", client=client_at("http://127.0.0.1:1"))
    with pytest.raises(ConfigurationError, match=says):
        s3.presign("key", **arguments)
    with pytest.raises(InvalidKey):
        s3.presign("")


def test_what_is_encrypted_with_a_customer_key_cannot_be_handed_out(tmp_path: Path) -> None:
    s3 = S3(str(tmp_path), s3root="s3://bucket", customer_key=bytes(32), client=client_at("https://127.0.0.1:1"))
    with pytest.raises(ConfigurationError, match="customer_key"):
        s3.presign("key")


def test_the_secret_is_not_in_the_URL(tmp_path: Path) -> None:
    credentials = Credentials("AKIDEXAMPLE", "very-secret")
    provider = Fixed(None)
    provider._snapshot = credentials
    url = S3(str(tmp_path), client=client_at("https://127.0.0.1:1", provider)).presign("s3://bucket/key")
    assert "very-secret" not in url
    assert "AKIDEXAMPLE" in url
