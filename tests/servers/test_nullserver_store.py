"""Mode store: objects, keys, buckets, listings, copies, conditional writes, memory."""

from __future__ import annotations

import datetime
import hashlib
import os
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.servers.nullserver_fixture import BUCKET, MIB, Server, code, crc32, crc64, running, status, text


def test_an_object_comes_back_with_its_metadata(store: Server) -> None:
    s3 = store.client()
    data = os.urandom(100_000)
    put = s3.put_object(
        Bucket=BUCKET,
        Key="meta",
        Body=data,
        Metadata={"color": "blue", "x": "1"},
        ContentType="text/plain",
        ContentEncoding="gzip",
        CacheControl="no-store",
    )
    assert put["ETag"] == f'"{hashlib.md5(data).hexdigest()}"'
    got = s3.get_object(Bucket=BUCKET, Key="meta")
    assert got["Body"].read() == data
    assert got["Metadata"] == {"color": "blue", "x": "1"}
    assert (got["ContentType"], got["ContentEncoding"], got["CacheControl"]) == (
        "text/plain",
        "gzip",
        "no-store",
    )
    assert abs(got["LastModified"] - datetime.datetime.now(datetime.UTC)).total_seconds() < 60
    assert got["ChecksumCRC32"] == text(crc32(data))
    ranged = s3.get_object(Bucket=BUCKET, Key="meta", Range="bytes=10-19")
    assert ranged["Body"].read() == data[10:20]
    assert not [name for name in ranged if name.startswith("Checksum")]


def test_an_object_without_a_checksum_gets_crc64nvme(store: Server) -> None:
    s3 = store.client(request_checksum_calculation="when_required")
    put = s3.put_object(Bucket=BUCKET, Key="plain", Body=b"hello")
    head = s3.head_object(Bucket=BUCKET, Key="plain", ChecksumMode="ENABLED")
    assert put["ChecksumCRC64NVME"] == head["ChecksumCRC64NVME"] == crc64(b"hello")
    assert head["ChecksumType"] == "FULL_OBJECT"


def test_conditional_writes(store: Server) -> None:
    s3 = store.client()
    etag = s3.put_object(Bucket=BUCKET, Key="cas", Body=b"1", IfNoneMatch="*")["ETag"]
    for conditions in ({"IfNoneMatch": "*"}, {"IfMatch": '"other"'}):
        with pytest.raises(ClientError) as error:
            s3.put_object(Bucket=BUCKET, Key="cas", Body=b"2", **conditions)
        assert (code(error), status(error)) == ("PreconditionFailed", 412)
    s3.put_object(Bucket=BUCKET, Key="cas", Body=b"3", IfMatch=etag)
    with pytest.raises(ClientError) as error:
        s3.put_object(Bucket=BUCKET, Key="cas-none", Body=b"2", IfMatch=etag)
    assert code(error) == "NoSuchKey"
    upload = s3.create_multipart_upload(Bucket=BUCKET, Key="cas")
    part = s3.upload_part(Bucket=BUCKET, Key="cas", UploadId=upload["UploadId"], PartNumber=1, Body=b"4")
    listed = {"PartNumber": 1, "ETag": part["ETag"], "ChecksumCRC32": text(crc32(b"4"))}
    finish = {
        "Bucket": BUCKET,
        "Key": "cas",
        "UploadId": upload["UploadId"],
        "MultipartUpload": {"Parts": [listed]},
    }
    with pytest.raises(ClientError) as error:
        s3.complete_multipart_upload(**finish, IfNoneMatch="*")
    assert code(error) == "PreconditionFailed"
    s3.complete_multipart_upload(**finish, IfMatch=f'"{hashlib.md5(b"3").hexdigest()}"')
    assert s3.get_object(Bucket=BUCKET, Key="cas")["Body"].read() == b"4"


def test_listings_roll_up_page_and_start_after(store: Server) -> None:
    s3 = store.client()
    names = ["a", "a/1", "a/2", "a/b/3", "b", "c//d", "é", "z/", "\U0001f600", "\uffee"]
    s3.create_bucket(Bucket="listing")
    for name in names:
        s3.put_object(Bucket="listing", Key=name, Body=b"x")
    ordered = sorted(names, key=lambda name: name.encode())

    def listing(**options: Any) -> tuple[list[str], list[str]]:
        keys, prefixes = [], []
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket="listing", **options):
            assert page["KeyCount"] == len(page.get("Contents", [])) + len(page.get("CommonPrefixes", []))
            keys += [entry["Key"] for entry in page.get("Contents", [])]
            prefixes += [entry["Prefix"] for entry in page.get("CommonPrefixes", [])]
        return keys, prefixes

    for size in (1, 2, 1000):
        page = {"PageSize": size}
        assert listing(PaginationConfig=page) == (ordered, [])
        assert listing(Delimiter="/", PaginationConfig=page) == (
            [name for name in ordered if "/" not in name],
            ["a/", "c/", "z/"],
        )
        assert listing(Prefix="a/", Delimiter="/", PaginationConfig=page) == (["a/1", "a/2"], ["a/b/"])
        assert listing(StartAfter="b", PaginationConfig=page)[0] == ordered[ordered.index("b") + 1 :]
        assert listing(Prefix="nothing", PaginationConfig=page) == ([], [])
    nothing = s3.list_objects_v2(Bucket="listing", MaxKeys=0)
    assert (nothing["KeyCount"], nothing["IsTruncated"]) == (0, False)
    with pytest.raises(ClientError) as error:
        s3.list_objects_v2(Bucket="listing", ContinuationToken="zz")
    assert code(error) == "InvalidArgument"
    with pytest.raises(ClientError) as error:
        s3.delete_bucket(Bucket="listing")
    assert code(error) == "BucketNotEmpty"
    gone = s3.delete_objects(Bucket="listing", Delete={"Objects": [{"Key": name} for name in names]})
    assert [entry["Key"] for entry in gone["Deleted"]] == names
    s3.delete_bucket(Bucket="listing")


ODD_KEYS = [
    "a//b",
    "./x",
    "../x",
    "a/../b",
    "dir/",
    " blank ",
    "100%",
    "a+b",
    "?#&=",
    "\U0001f600",
    "k" * 1024,
    "<&>\"'",
    "tab\tline\n",
]


@pytest.mark.parametrize("key", ODD_KEYS)
def test_odd_keys_are_kept_verbatim(store: Server, key: str) -> None:
    s3 = store.client()
    s3.put_object(Bucket=BUCKET, Key=key, Body=key.encode())
    assert s3.get_object(Bucket=BUCKET, Key=key)["Body"].read() == key.encode()
    assert [entry["Key"] for entry in s3.list_objects_v2(Bucket=BUCKET, Prefix=key)["Contents"]] == [key]
    s3.delete_object(Bucket=BUCKET, Key=key)
    with pytest.raises(ClientError) as error:
        s3.get_object(Bucket=BUCKET, Key=key)
    assert code(error) == "NoSuchKey"


def test_a_key_over_1024_bytes_is_refused(store: Server) -> None:
    with pytest.raises(ClientError) as error:
        store.client().put_object(Bucket=BUCKET, Key="k" * 1025, Body=b"")
    assert (code(error), status(error)) == ("KeyTooLongError", 400)


def test_buckets(store: Server) -> None:
    s3 = store.client()
    s3.create_bucket(Bucket="another")
    s3.head_bucket(Bucket="another")
    assert s3.get_bucket_location(Bucket="another")["LocationConstraint"] is None
    assert {"another", BUCKET} <= {bucket["Name"] for bucket in s3.list_buckets()["Buckets"]}
    with pytest.raises(ClientError) as error:
        s3.create_bucket(Bucket="another")
    assert code(error) == "BucketAlreadyOwnedByYou"
    s3.delete_bucket(Bucket="another")
    calls: list[Callable[[], Any]] = [
        lambda: s3.head_bucket(Bucket="another"),
        lambda: s3.list_objects_v2(Bucket="another"),
        lambda: s3.put_object(Bucket="another", Key="k", Body=b""),
        lambda: s3.create_multipart_upload(Bucket="another", Key="k"),
        lambda: s3.get_object(Bucket="another", Key="k"),
        lambda: s3.delete_bucket(Bucket="another"),
        lambda: s3.delete_objects(Bucket="another", Delete={"Objects": [{"Key": "k"}]}),
    ]
    for call in calls:
        with pytest.raises(ClientError) as error:
            call()
        assert status(error) == 404
    assert b"InvalidBucketName" in store.request("PUT", "/B_")[2]


def test_copies_share_bytes_and_keep_or_replace_metadata(store: Server) -> None:
    s3 = store.client()
    s3.put_object(Bucket=BUCKET, Key="from é", Body=b"data", Metadata={"a": "1"})
    source = {"Bucket": BUCKET, "Key": "from é"}
    s3.copy_object(Bucket=BUCKET, Key="to", CopySource=source)
    s3.delete_object(Bucket=BUCKET, Key="from é")
    got = s3.get_object(Bucket=BUCKET, Key="to")
    assert (got["Body"].read(), got["Metadata"]) == (b"data", {"a": "1"})
    itself = {"Bucket": BUCKET, "Key": "to"}
    s3.copy_object(Bucket=BUCKET, Key="to", CopySource=itself, MetadataDirective="REPLACE", Metadata={"b": "2"})
    assert s3.head_object(Bucket=BUCKET, Key="to")["Metadata"] == {"b": "2"}
    for source, expected in ((itself, "InvalidRequest"), ({"Bucket": BUCKET, "Key": "none"}, "NoSuchKey")):
        with pytest.raises(ClientError) as error:
            s3.copy_object(Bucket=BUCKET, Key="to", CopySource=source)
        assert code(error) == expected


def test_unknown_requests_are_not_implemented(store: Server) -> None:
    s3 = store.client()
    calls: list[Callable[[], Any]] = [
        lambda: s3.get_bucket_acl(Bucket=BUCKET),
        lambda: s3.list_objects(Bucket=BUCKET),
        lambda: s3.get_object_tagging(Bucket=BUCKET, Key="k"),
        lambda: s3.put_object(Bucket=BUCKET, Key="k", Body=b"", ChecksumAlgorithm="SHA256"),
    ]
    for call in calls:
        with pytest.raises(ClientError) as error:
            call()
        assert (code(error), status(error)) == ("NotImplemented", 501)


def test_the_memory_limit_holds_and_memory_comes_back() -> None:
    with running("store", "--memory-limit", str(3 * MIB)) as server:
        s3 = server.client()
        s3.create_bucket(Bucket=BUCKET)
        for _ in range(5):
            s3.put_object(Bucket=BUCKET, Key="k", Body=bytes(MIB))
        s3.put_object(Bucket=BUCKET, Key="l", Body=bytes(MIB))
        with pytest.raises(ClientError) as error:
            s3.put_object(Bucket=BUCKET, Key="m", Body=bytes(MIB))
        assert (code(error), status(error)) == ("InsufficientStorage", 507)
        s3.delete_object(Bucket=BUCKET, Key="l")
        s3.put_object(Bucket=BUCKET, Key="m", Body=bytes(MIB))
