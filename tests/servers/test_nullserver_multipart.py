"""Multipart uploads in mode store."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.exceptions import ClientError

from fastdatastore.testing.servers import null
from tests.servers.nullserver_fixture import (
    BUCKET,
    MIB,
    Server,
    code,
    crc32,
    crc32c,
    crc64,
    crc64nvme,
    running,
    status,
    text,
)


@dataclass(frozen=True)
class Upload:
    """A multipart upload under test."""

    s3: Any
    key: str
    id: str

    @classmethod
    def create(cls, s3: Any, key: str, **options: Any) -> Upload:
        return cls(s3, key, s3.create_multipart_upload(Bucket=BUCKET, Key=key, **options)["UploadId"])

    def part(self, number: int, data: bytes, **options: Any) -> dict[str, Any]:
        reply = self.s3.upload_part(
            Bucket=BUCKET, Key=self.key, UploadId=self.id, PartNumber=number, Body=data, **options
        )
        kept = {name: value for name, value in reply.items() if name.startswith("Checksum") or name == "ETag"}
        return {"PartNumber": number, **kept}

    def complete(self, *parts: dict[str, Any], **options: Any) -> Any:
        return self.s3.complete_multipart_upload(
            Bucket=BUCKET, Key=self.key, UploadId=self.id, MultipartUpload={"Parts": list(parts)}, **options
        )


@pytest.mark.parametrize(
    ("algorithm", "kind"), [("CRC64NVME", None), ("CRC32", None), ("CRC32C", None), ("CRC32", "FULL_OBJECT")]
)
def test_multipart_checksums_of_each_type(store: Server, algorithm: str, kind: str | None) -> None:
    functions: dict[str, Callable[[bytes], bytes]] = {
        "CRC64NVME": crc64nvme,
        "CRC32": crc32,
        "CRC32C": crc32c,
    }
    function = functions[algorithm]
    data = [os.urandom(5 * MIB), os.urandom(1000)]
    s3 = store.client()
    options = {"ChecksumAlgorithm": algorithm, **({"ChecksumType": kind} if kind else {})}
    upload = Upload.create(s3, "multi", **options)
    parts = [upload.part(n, d, **{f"Checksum{algorithm}": text(function(d))}) for n, d in enumerate(data, 1)]
    done = upload.complete(*parts)
    full = kind == "FULL_OBJECT" or algorithm == "CRC64NVME"
    whole = b"".join(data)
    expected = text(function(whole)) if full else text(function(b"".join(map(function, data)))) + "-2"
    md5s = b"".join(hashlib.md5(d).digest() for d in data)
    assert done["ETag"] == f'"{hashlib.md5(md5s).hexdigest()}-2"'
    assert done[f"Checksum{algorithm}"] == expected
    head = s3.head_object(Bucket=BUCKET, Key="multi", ChecksumMode="ENABLED")
    assert (head[f"Checksum{algorithm}"], head["ChecksumType"]) == (
        expected,
        "FULL_OBJECT" if full else "COMPOSITE",
    )
    assert s3.get_object(Bucket=BUCKET, Key="multi")["Body"].read() == whole
    edge = s3.get_object(Bucket=BUCKET, Key="multi", Range=f"bytes={5 * MIB - 5}-{5 * MIB + 4}")
    assert edge["Body"].read() == whole[5 * MIB - 5 : 5 * MIB + 5]


def test_complete_refuses_what_does_not_fit(store: Server) -> None:
    s3 = store.client()
    upload = Upload.create(s3, "bad", ChecksumAlgorithm="CRC64NVME")
    big, small = os.urandom(5 * MIB), b"small"
    one = upload.part(1, big, ChecksumCRC64NVME=crc64(big))
    two = upload.part(2, small, ChecksumCRC64NVME=crc64(small))
    three = upload.part(3, small, ChecksumCRC64NVME=crc64(small))
    refusals: list[tuple[str, list[dict[str, Any]], dict[str, Any]]] = [
        ("InvalidPartOrder", [two, one], {}),
        ("InvalidPart", [one, {**two, "PartNumber": 9}], {}),
        ("InvalidPart", [one, {**two, "ETag": '"0"'}], {}),
        ("InvalidPart", [one, {**two, "ChecksumCRC64NVME": crc64(b"x")}], {}),
        ("EntityTooSmall", [one, two, three], {}),
        ("BadDigest", [one, two], {"ChecksumCRC64NVME": crc64(b"x")}),
        ("InvalidRequest", [one, two], {"ChecksumType": "COMPOSITE"}),
        ("InvalidRequest", [one, two], {"MpuObjectSize": 1}),
        ("MalformedXML", [], {}),
    ]
    for expected, parts, options in refusals:
        with pytest.raises(ClientError) as error:
            upload.complete(*parts, **options)
        assert code(error) == expected, (parts, options)
    with pytest.raises(ClientError) as error:
        upload.part(4, small, ChecksumCRC32=text(crc32(small)))
    assert code(error) == "InvalidRequest"
    upload.complete(one, two, ChecksumCRC64NVME=crc64(big + small), MpuObjectSize=len(big) + 5)
    with pytest.raises(ClientError) as error:
        upload.complete(one, two)
    assert (code(error), status(error)) == ("NoSuchUpload", 404)


def test_opaque_etags_stand_for_what_was_stored_but_are_no_md5s() -> None:
    with null.start(buckets=(BUCKET,), opaque_etags=True) as server:
        s3 = server.client()
        first, second = (s3.put_object(Bucket=BUCKET, Key="one", Body=b"same")["ETag"] for _ in range(2))
        assert first != second
        assert first.endswith('-1"')
        with pytest.raises(ClientError) as error:
            s3.put_object(Bucket=BUCKET, Key="one", Body=b"other", IfMatch=first)
        assert code(error) == "PreconditionFailed"
        s3.put_object(Bucket=BUCKET, Key="one", Body=b"other", IfMatch=second)
        upload = Upload.create(s3, "parts")
        done = upload.complete(upload.part(1, b"a" * (5 * MIB)), upload.part(2, b"b"))
        assert done["ETag"].endswith('-2"')
        with pytest.raises(ClientError) as error:
            s3.put_object(Bucket=BUCKET, Key="one", Body=b"x", ContentMD5="A" * 22 + "==")
        assert code(error) == "BadDigest"


def test_parts_may_be_as_small_as_part_min() -> None:
    with running("store", "--part-min", "3") as server:
        s3 = server.client()
        s3.create_bucket(Bucket=BUCKET)
        upload = Upload.create(s3, "small")
        abc, de, f = (upload.part(number, data) for number, data in enumerate((b"abc", b"de", b"f"), 1))
        with pytest.raises(ClientError) as error:
            upload.complete(abc, de, f)
        assert code(error) == "EntityTooSmall"
        upload.complete(abc, de)
        assert s3.get_object(Bucket=BUCKET, Key="small")["Body"].read() == b"abcde"


def test_parts_and_uploads_are_listed_in_pages(store: Server) -> None:
    s3 = store.client()
    uploads = [Upload.create(s3, f"paged/{name}") for name in ("b", "a", "a", "é")]
    for number in (7, 2, 5):
        uploads[0].part(number, b"x" * number)
    pages = list(
        s3.get_paginator("list_parts").paginate(
            Bucket=BUCKET, Key="paged/b", UploadId=uploads[0].id, PaginationConfig={"PageSize": 2}
        )
    )
    assert [[part["PartNumber"] for part in page["Parts"]] for page in pages] == [[2, 5], [7]]
    assert pages[0]["Parts"][0]["Size"] == 2
    listed = s3.get_paginator("list_multipart_uploads").paginate(
        Bucket=BUCKET, Prefix="paged/", PaginationConfig={"PageSize": 1}
    )
    assert [u["Key"] for page in listed for u in page.get("Uploads", [])] == [
        "paged/a",
        "paged/a",
        "paged/b",
        "paged/é",
    ]
    for upload in uploads:
        s3.abort_multipart_upload(Bucket=BUCKET, Key=upload.key, UploadId=upload.id)
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=BUCKET, Prefix="paged/")
