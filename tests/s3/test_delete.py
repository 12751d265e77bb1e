"""delete, delete_many: what was there is gone, what was not is no error, what stays is named."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import pickle
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import fromstring

import pytest

from fastdatastore import S3, AsyncS3
from fastdatastore.engine.client import Client
from fastdatastore.engine.delete import DeleteManyJob
from fastdatastore.errors import (
    AccessDenied,
    BucketNotFound,
    ConfigurationError,
    DeleteFailed,
    InvalidKey,
    S3Error,
    ServerError,
)
from fastdatastore.testing.servers import RunningServer
from tests.support.clients import client_at
from tests.support.scripted_server import Received, Reply, ScriptedServer, in_turn

HOSTILE = ["plain", "with space", "a+b&c<d>'\"é🌍", "tab\tin", "line\nfeed", "return\rhere", "bell\x07", "last\uffff"]


def _keys(s3: S3) -> list[str]:
    return sorted(found.key for found in s3.list_recursive())


def test_a_deleted_object_is_gone_and_the_others_stay(s3: S3) -> None:
    s3.put_many([("one", b"1"), ("two", b"2")])
    s3.delete("one")
    assert _keys(s3) == ["two"]
    s3.delete("one")
    s3.delete_many(["one", "never/was"])
    assert _keys(s3) == ["two"]


def test_many_objects_are_deleted_by_batches_in_parallel(s3: S3, client: Client, bucket: str) -> None:
    names = [f"many/{i:04}" for i in range(2500)]
    s3.put_many((name, b"x") for name in [*names, "kept"])
    s3.delete_many(iter(names))
    assert _keys(s3) == ["kept"]


def test_keys_that_XML_cannot_carry_are_deleted_too(s3: S3, s3_server: RunningServer) -> None:
    # SeaweedFS takes keys for paths, moto's web framework for lines of text.
    hostile = HOSTILE if s3_server.name in ("minio", "ceph", "null") else HOSTILE[:3]
    refused = {"ceph": ("\uffff", "\x07"), "minio": ("\x07", "\uffff")}.get(s3_server.name, ())
    names = [name for name in hostile if not any(part in name for part in refused)]
    for name in names:
        s3.put(name, b"x")
    s3.delete_many(names)
    assert s3.list_recursive() == []


def test_full_URLs_may_name_several_buckets(s3: S3, client: Client, bucket: str, tmp_path: Path) -> None:
    s3.put("one", b"1")
    with S3(str(tmp_path), client=client) as anywhere:
        anywhere.delete_many([f"s3://{bucket}/one", f"s3://{bucket}/two"])
    assert _keys(s3) == []


def test_nothing_to_delete_sends_nothing(tmp_path: Path) -> None:
    S3(str(tmp_path), client=client_at("http://127.0.0.1:1")).delete_many([])


def test_deleting_in_a_missing_bucket_is_an_error(client: Client, tmp_path: Path, s3_server: RunningServer) -> None:
    with S3(str(tmp_path), s3root="s3://no-such-bucket-here", client=client) as s3:
        with pytest.raises(BucketNotFound):
            s3.delete_many(["key"])
        with pytest.raises(BucketNotFound):
            s3.delete("key")


def test_AsyncS3_deletes_the_same(s3: S3, client: Client, bucket: str, tmp_path: Path) -> None:
    async def main() -> None:
        async with AsyncS3(str(tmp_path), s3root=f"s3://{bucket}", client=client) as store:
            await store.put_many([("a", b"1"), ("b", b"2"), ("c", b"3")])
            await store.delete("a")
            await store.delete_many(["b"])

    asyncio.run(main())
    assert _keys(s3) == ["c"]


@pytest.mark.parametrize("keys", ["key", ["fine", ""], ["x" * 1025], [7]])
def test_keys_that_are_none_are_refused_before_anything_is_deleted(tmp_path: Path, keys: Any) -> None:
    with ScriptedServer(lambda received: Reply()) as server:
        s3 = S3(str(tmp_path), client=client_at(server.url), s3root="s3://bucket")
        with pytest.raises(InvalidKey):
            s3.delete_many(keys)
    assert server.requests == []


@pytest.mark.parametrize("version", ["", 7, "a\nb"])
def test_a_version_that_is_none_is_refused(tmp_path: Path, version: Any) -> None:
    s3 = S3(str(tmp_path), client=client_at("http://127.0.0.1:1"), s3root="s3://bucket")
    with pytest.raises(ConfigurationError, match="version_id"):
        s3.delete("key", version_id=version)


# ---- what servers may answer ----


def _result(*errors: tuple[str, str]) -> Reply:
    rows = "".join(f"<Error><Key>{k}</Key><Code>{c}</Code><Message>as {c}</Message></Error>" for k, c in errors)
    return Reply(body=f"<DeleteResult>{rows}</DeleteResult>".encode())


def _asked(received: Received) -> list[str | None]:
    return [key.text for key in fromstring(received.body).iter("{http://s3.amazonaws.com/doc/2006-03-01/}Key")]


def test_the_request_carries_the_checksum_that_servers_demand(tmp_path: Path) -> None:
    with ScriptedServer(in_turn(_result())) as server:
        S3(str(tmp_path), client=client_at(server.url), s3root="s3://bucket").delete_many(["a"])
    (received,) = server.requests
    assert base64.b64decode(received.headers["content-md5"]) == hashlib.md5(received.body).digest()


@pytest.mark.fault(43)
def test_keys_that_stay_are_named_and_the_others_are_deleted(tmp_path: Path) -> None:
    names = [f"key{i:04}" for i in range(1500)]
    refused = [(name, "AccessDenied") for name in names[:5]]

    def script(received: Received) -> Reply:
        return _result(*refused) if names[0] in _asked(received) else _result(("key1400", "NoSuchKey"))

    with ScriptedServer(script) as server:
        s3 = S3(str(tmp_path), client=client_at(server.url), s3root="s3://bucket")
        with pytest.raises(DeleteFailed) as caught:
            s3.delete_many(names)
    error = caught.value
    assert "5 of 1,500 objects were not deleted: s3://bucket/key0000 (AccessDenied), " in str(error)
    assert "and 2 more" in str(error)
    assert [(type(failure), failure.key) for failure in error.failures] == [(AccessDenied, name) for name in names[:5]]
    assert sum(len(_asked(received)) for received in server.requests) == 1500
    again = pickle.loads(pickle.dumps(error))
    assert [failure.key for failure in again.failures] == names[:5]


@pytest.mark.fault(43)
def test_keys_that_a_busy_server_left_are_asked_for_again(tmp_path: Path) -> None:
    busy = _result(("b", "InternalError"), ("c", "SlowDown"), ("d", "AccessDenied"))
    with ScriptedServer(in_turn(busy, _result(("c", "SlowDown")), _result())) as server:
        s3 = S3(str(tmp_path), client=client_at(server.url), s3root="s3://bucket")
        with pytest.raises(DeleteFailed) as caught:
            s3.delete_many(["a", "b", "c", "d"])
    assert [failure.key for failure in caught.value.failures] == ["d"]
    assert [_asked(received) for received in server.requests] == [["a", "b", "c", "d"], ["b", "c"], ["c"]]


def test_keys_that_a_busy_server_leaves_for_good_are_named(tmp_path: Path) -> None:
    with ScriptedServer(in_turn(_result(("b", "InternalError")))) as server:
        s3 = S3(str(tmp_path), client=client_at(server.url, attempts=2), s3root="s3://bucket")
        with pytest.raises(DeleteFailed) as caught:
            s3.delete_many(["a", "b"])
    assert [(type(failure), failure.key) for failure in caught.value.failures] == [(ServerError, "b")]


@pytest.mark.fault(42)
def test_deletes_that_fail_by_200_are_tried_again(tmp_path: Path) -> None:
    wrong = Reply(body=b"<Error><Code>InternalError</Code><Message>We encountered an error</Message></Error>")
    with ScriptedServer(in_turn(wrong, _result())) as server:
        S3(str(tmp_path), client=client_at(server.url), s3root="s3://bucket").delete_many(["a"])
    assert len(server.requests) == 2
    with ScriptedServer(in_turn(wrong)) as server:
        s3 = S3(str(tmp_path), client=client_at(server.url, attempts=2), s3root="s3://bucket")
        with pytest.raises(ServerError, match="We encountered an error"):
            s3.delete_many(["a"])


@pytest.mark.parametrize("body", [b"", b"no XML", b"<!DOCTYPE x><DeleteResult/>"])
def test_an_answer_that_is_none_is_an_error(body: bytes) -> None:
    with ScriptedServer(in_turn(Reply(body=body))) as server, pytest.raises(S3Error):
        client_at(server.url, attempts=2).run_one(DeleteManyJob("bucket", ["a"]))
