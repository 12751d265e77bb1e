"""Mode sink: what is sent is verified and dropped."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.servers.nullserver_fixture import MIB, Server, code, crc, crc32, crc64, status, text


@pytest.mark.parametrize("algorithm", ["CRC32", "CRC64NVME", "CRC32C"])
def test_sink_verifies_and_echoes_checksums(sink: Server, algorithm: str) -> None:
    data = os.urandom(300_001)
    values = {"CRC32": crc32(data), "CRC32C": crc(data, 4), "CRC64NVME": crc(data, 8)}
    s3 = sink.client()
    reply = s3.put_object(Bucket="any", Key="k", Body=data, **{f"Checksum{algorithm}": text(values[algorithm])})
    assert reply[f"Checksum{algorithm}"] == text(values[algorithm])
    assert reply["ETag"].startswith('"')
    with pytest.raises(ClientError) as error:
        s3.put_object(Bucket="any", Key="k", Body=data + b"x", **{f"Checksum{algorithm}": text(values[algorithm])})
    assert (code(error), status(error)) == ("BadDigest", 400)


def test_sink_verifies_md5_when_it_is_sent(sink: Server) -> None:
    digest = text(hashlib.md5(b"abc").digest())
    assert sink.request("PUT", "/b/k", b"abc", {"Content-MD5": digest})[0] == 200
    answer, _, body = sink.request("PUT", "/b/k", b"abd", {"Content-MD5": digest})
    assert (answer, b"<Code>BadDigest</Code>" in body) == (400, True)
    assert b"<Code>InvalidDigest</Code>" in sink.request("PUT", "/b/k", b"abc", {"Content-MD5": "no"})[2]


def test_sink_combines_the_parts_checksum(sink: Server) -> None:
    s3 = sink.client()
    parts = [os.urandom(5 * MIB), os.urandom(12345)]
    upload = s3.create_multipart_upload(
        Bucket="any", Key="k", ChecksumAlgorithm="CRC64NVME", ChecksumType="FULL_OBJECT"
    )
    assert (upload["ChecksumAlgorithm"], upload["ChecksumType"]) == ("CRC64NVME", "FULL_OBJECT")
    listed = []
    for number, part in enumerate(parts, 1):
        reply = s3.upload_part(
            Bucket="any",
            Key="k",
            UploadId=upload["UploadId"],
            PartNumber=number,
            Body=part,
            ChecksumCRC64NVME=crc64(part),
        )
        listed.append({"PartNumber": number, "ETag": reply["ETag"], "ChecksumCRC64NVME": crc64(part)})
    done = s3.complete_multipart_upload(
        Bucket="any", Key="k", UploadId=upload["UploadId"], MultipartUpload={"Parts": listed}
    )
    assert done["ChecksumCRC64NVME"] == crc64(b"".join(parts))
    with pytest.raises(ClientError) as error:
        s3.list_parts(Bucket="any", Key="k", UploadId=upload["UploadId"])
    assert code(error) == "NoSuchUpload"


def test_sink_aborts_finds_nothing_and_deletes_everything(sink: Server) -> None:
    s3 = sink.client()
    upload = s3.create_multipart_upload(Bucket="any", Key="k")["UploadId"]
    s3.abort_multipart_upload(Bucket="any", Key="k", UploadId=upload)
    calls: list[Callable[[], Any]] = [
        lambda: s3.upload_part(Bucket="any", Key="k", UploadId=upload, PartNumber=1, Body=b"x"),
        lambda: s3.get_object(Bucket="any", Key="k"),
    ]
    for call in calls:
        with pytest.raises(ClientError) as error:
            call()
        assert code(error) in ("NoSuchUpload", "NoSuchKey")
        assert status(error) == 404
    s3.delete_object(Bucket="any", Key="k")
    assert s3.delete_objects(Bucket="any", Delete={"Objects": [{"Key": "a"}]})["Deleted"] == [{"Key": "a"}]
