"""Mode fixed: the pattern, ranges, conditions, errors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.servers.nullserver_fixture import Server, code, crc64, pattern, status


def test_fixed_serves_the_documented_pattern_with_its_checksum(fixed: Server) -> None:
    s3 = fixed.client()
    reply = s3.get_object(Bucket="any", Key="k/obj-17.2500001", ChecksumMode="ENABLED")
    body = reply["Body"].read()
    assert body == pattern(2_500_001)
    assert reply["ChecksumCRC64NVME"] == crc64(body)
    assert reply["ChecksumType"] == "FULL_OBJECT"
    assert reply["ContentType"] == "binary/octet-stream"
    assert reply["AcceptRanges"] == "bytes"
    head = s3.head_object(Bucket="any", Key="k/obj-17.2500001", ChecksumMode="ENABLED")
    assert (head["ContentLength"], head["ETag"]) == (2_500_001, reply["ETag"])
    assert head["ChecksumCRC64NVME"] == reply["ChecksumCRC64NVME"]
    assert "ChecksumCRC64NVME" not in s3.head_object(Bucket="any", Key="k/obj-17.2500001", ChecksumMode="DISABLED")


def test_fixed_takes_the_size_from_the_key_else_from_its_option(fixed: Server) -> None:
    s3 = fixed.client()
    sizes = {"a.0": 0, "a.1": 1, "a.b.77": 77, "a": 3000000, "a.7x": 3000000, "a.": 3000000, "12": 3000000}
    for key, size in sizes.items():
        assert s3.head_object(Bucket="any", Key=key)["ContentLength"] == size, key
    assert s3.get_object(Bucket="any", Key="a.0")["Body"].read() == b""


@pytest.mark.parametrize(
    ("header", "first", "last"),
    [
        ("bytes=5-9", 5, 9),
        ("bytes=1048570-1048590", 1048570, 1048590),
        ("bytes=-3", 1999997, 1999999),
        ("bytes=1999990-", 1999990, 1999999),
        ("bytes=1999990-9999999", 1999990, 1999999),
        ("bytes=-9999999", 0, 1999999),
    ],
)
def test_a_range_is_206_without_a_checksum(fixed: Server, header: str, first: int, last: int) -> None:
    reply = fixed.client().get_object(Bucket="any", Key="k.2000000", Range=header, ChecksumMode="ENABLED")
    assert reply["ResponseMetadata"]["HTTPStatusCode"] == 206
    assert reply["ContentRange"] == f"bytes {first}-{last}/2000000"
    assert reply["Body"].read() == pattern(2000000)[first : last + 1]
    assert not [name for name in reply if name.startswith("Checksum")]


@pytest.mark.parametrize("header", ["bytes=100-", "bytes=100-200", "bytes=-0"])
def test_a_range_outside_the_object_is_416(fixed: Server, header: str) -> None:
    with pytest.raises(ClientError) as error:
        fixed.client().get_object(Bucket="any", Key="k.100", Range=header)
    assert (code(error), status(error)) == ("InvalidRange", 416)


@pytest.mark.parametrize("header", ["bytes=5-2", "bytes=a-b", "lines=1-2", "bytes=0-1,5-6", "bytes=-"])
def test_a_range_that_cannot_be_used_is_ignored(fixed: Server, header: str) -> None:
    answer, headers, body = fixed.request("GET", "/any/k.100", headers={"Range": header})
    assert (answer, len(body)) == (200, 100)
    assert "content-range" not in headers


def test_conditions_on_get(fixed: Server) -> None:
    s3 = fixed.client()
    etag = s3.head_object(Bucket="any", Key="k.100")["ETag"]
    for good in (etag, etag.strip('"'), "*", f'"other", {etag}'):
        assert fixed.request("GET", "/any/k.100", headers={"If-Match": good})[0] == 200
    with pytest.raises(ClientError) as error:
        s3.get_object(Bucket="any", Key="k.100", IfMatch='"other"')
    assert (code(error), status(error)) == ("PreconditionFailed", 412)
    with pytest.raises(ClientError) as error:
        s3.get_object(Bucket="any", Key="k.100", IfNoneMatch=etag)
    assert status(error) == 304


def test_fixed_refuses_to_write(fixed: Server) -> None:
    s3 = fixed.client()
    calls: list[Callable[[], Any]] = [
        lambda: s3.put_object(Bucket="any", Key="k", Body=b"x" * 100000),
        lambda: s3.delete_object(Bucket="any", Key="k"),
        lambda: s3.create_multipart_upload(Bucket="any", Key="k"),
    ]
    for call in calls:
        with pytest.raises(ClientError) as error:
            call()
        assert (code(error), status(error)) == ("MethodNotAllowed", 405)


def test_a_request_without_a_signature_is_denied(fixed: Server) -> None:
    with fixed.connect() as connection:
        connection.sendall(b"GET /b/k.1 HTTP/1.1\r\nHost: x\r\n\r\n")
        reply = connection.recv(65536)
    assert b" 403 " in reply
    assert b"<Code>AccessDenied</Code>" in reply
    url = fixed.client().generate_presigned_url("get_object", Params={"Bucket": "b", "Key": "k.10"})
    path = url.split(f":{fixed.port}", 1)[1]
    with fixed.connect() as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert b" 200 " in connection.recv(65536)


def test_errors_name_resource_and_request_and_a_head_error_has_no_body(fixed: Server) -> None:
    answer, headers, body = fixed.request("DELETE", "/b/some%26key")
    assert answer == 405
    assert f"<RequestId>{headers['x-amz-request-id']}</RequestId>".encode() in body
    assert b"<Resource>/b/some&amp;key</Resource>" in body
    answer, headers, body = fixed.request("HEAD", "/b/k.1", headers={"If-Match": "x"})
    assert (answer, body, headers["content-length"]) == (412, b"", "0")
