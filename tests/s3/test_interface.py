"""S3 in place of metaflow.S3: roots, verbs and their corners, on every server."""

from __future__ import annotations

import asyncio
import inspect
import io
import os
import subprocess
import sys
import warnings
import weakref
from collections.abc import Iterator
from operator import itemgetter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fastdatastore import S3, AsyncS3, S3GetObject, S3PutObject, errors
from fastdatastore.config import Settings
from fastdatastore.engine.client import Client
from fastdatastore.testing.servers import RunningServer
from tests.support.clients import client_at, client_of, s3_of
from tests.support.scripted_server import ScriptedServer, error_reply

RUN = SimpleNamespace(id="56", parent=SimpleNamespace(id="HelloFlow"))  # as metaflow.Run


@pytest.fixture
def nowhere() -> Client:
    """For what is refused before anything is sent."""
    return client_at("http://127.0.0.1:1")


# ---- the constructor ----


def test_a_run_has_its_place_below_the_datatools_root(nowhere: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("METAFLOW_DATASTORE_SYSROOT_S3", "s3://flows/prod/")
    assert S3.get_root_from_config(print) == "s3://flows/prod/data"
    assert S3(run=RUN, client=nowhere)._s3root == "s3://flows/prod/data/HelloFlow/56"
    assert S3(run=RUN, s3root="s3://ignored", client=nowhere)._s3root == "s3://flows/prod/data/HelloFlow/56"
    monkeypatch.setenv("METAFLOW_DATATOOLS_S3ROOT", "s3://tools/x")
    assert S3(".", "mine", None, RUN, client=nowhere)._s3root == "s3://mine/x/HelloFlow/56"
    assert S3(".", None, "/a/b/", RUN, client=nowhere)._s3root == "s3://tools/a/b/HelloFlow/56"
    assert S3(bucket="ignored", prefix="ignored", client=nowhere)._s3root is None


def test_a_run_without_a_root_or_that_is_none_is_refused(nowhere: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("METAFLOW_HOME", os.devnull)
    with pytest.raises(errors.InvalidKey, match="METAFLOW_DATATOOLS_S3ROOT"):
        S3(run=RUN, client=nowhere)
    assert S3(run=RUN, bucket="b01", prefix="p", client=nowhere)._s3root == "s3://b01/p/HelloFlow/56"
    with pytest.raises(errors.InvalidKey, match=r"FlowSpec or a metaflow\.Run"):
        S3(run="HelloFlow/56", bucket="b01", prefix="p", client=nowhere)


def test_an_argument_that_nobody_knows_is_ignored_with_a_warning(nowhere: Client) -> None:
    with pytest.warns(UserWarning, match="tmpdir"):
        S3(tmpdir="x", client=nowhere)


def test_encryption_is_metaflows_unless_it_is_said(nowhere: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("METAFLOW_S3_SERVER_SIDE_ENCRYPTION", "AES256")
    assert S3(client=nowhere)._encryption == "AES256"
    assert S3(client=nowhere, encryption=None)._encryption is None
    assert S3(client=nowhere, encryption="aws:kms")._encryption == "aws:kms"


def test_async_has_the_same_verbs() -> None:
    def verbs(kind: type) -> dict[str, list[tuple[str, Any]]]:
        found = {name: value for name, value in vars(kind).items() if not name.startswith("_") and callable(value)}
        return {
            name: [(p.name, p.default) for p in inspect.signature(value).parameters.values()]
            for name, value in found.items()
        }

    assert verbs(AsyncS3) == verbs(S3)


def test_awaited_verbs_do_the_same(client: Client, bucket: str, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"in a file")

    async def work() -> None:
        async with AsyncS3(str(tmp_path), s3root=f"s3://{bucket}", client=client) as s3:
            assert await s3.put_files([("a/1", file)]) == [("a/1", f"s3://{bucket}/a/1")]
            await s3.put_many((f"b/{i}", str(i)) for i in range(3))
            assert [got.text for got in await s3.get_recursive(["a", "b"])] == ["in a file", "0", "1", "2"]
            assert [got.key for got in await s3.get_all()] == ["a/1", "b/0", "b/1", "b/2"]
            assert [found.size for found in await s3.info_many(["b/1", "a/1"])] == [1, 9]
        with pytest.warns(DeprecationWarning, match="closed") as caught:
            await s3.info("a/1")
        assert caught[0].filename == __file__

    asyncio.run(work())


# ---- get_recursive, get_all ----


@pytest.fixture
def tree(client: Client, bucket: str, tmp_path: Path) -> Iterator[S3]:
    """Keys that begin alike."""
    with s3_of(client, bucket, tmp_path, "root") as s3:
        s3.put_many(
            [
                (
                    key,
                    key,
                )
                for key in ("a/1", "a/deep/2", "a.txt", "ab/3", "b/4")
            ]
        )
        yield s3


def test_get_recursive_reads_keys_as_directories(tree: S3, bucket: str) -> None:
    got = tree.get_recursive(["b", "a/"])
    assert [(each.key, each.text) for each in got] == [("4", "b/4"), ("1", "a/1"), ("deep/2", "a/deep/2")]
    assert [each.prefix for each in got] == [f"s3://{bucket}/root/{name}" for name in "baa"]
    assert not any(each.has_info for each in got)
    with_info = tree.get_recursive(["a"], return_info=True)
    assert [each.key for each in with_info] == ["a/1", "a/deep/2"]
    assert all(each.has_info for each in with_info)
    assert [each.key for each in tree.get_recursive(["a", "a/deep"])] == ["1", "deep/2", "2"]
    assert tree.get_recursive([]) == tree.get_recursive(["missing"]) == []


def test_get_recursive_of_raw_prefixes_gives_whole_keys(tree: S3) -> None:
    got = tree.get_recursive(["a"], raw_prefixes=True)
    assert sorted(each.key for each in got) == ["a.txt", "a/1", "a/deep/2", "ab/3"]
    assert all(each.text == each.key for each in got)


def test_get_recursive_says_what_it_leaves_out(tree: S3) -> None:
    with pytest.warns(UserWarning, match=r"such as 'root/a\.txt'.*raw_prefixes=True"):
        assert tree.get_recursive(["a.t"]) == []


def test_get_all_is_what_is_below_the_root(tree: S3, client: Client, tmp_path: Path) -> None:
    assert sorted(each.key for each in tree.get_all()) == ["a.txt", "a/1", "a/deep/2", "ab/3", "b/4"]
    with pytest.raises(errors.InvalidKey, match="s3root"):
        S3(str(tmp_path), client=client).get_all()


# ---- info_many, get_many ----


def test_info_many_keeps_order_and_duplicates(s3: S3) -> None:
    s3.put_many([("a", b"1"), ("b", b"22")])
    assert [found.size for found in s3.info_many(iter(["b", "a", "b"]))] == [2, 1, 2]
    with pytest.raises(errors.NotFound):
        s3.info_many(["a", "missing"])
    assert [found.exists for found in s3.info_many(["a", "missing"], return_missing=True)] == [True, False]


def test_get_many_with_a_range_that_cannot_be_says_so_at_once(s3: S3) -> None:
    s3.put("key", b"12345")
    with pytest.raises(errors.InvalidRange) as caught:
        s3.get_many(["key", S3GetObject("key", 7, 2)])
    assert caught.value.attempts == 1
    assert [got.blob for got in s3.get_many([S3GetObject("key", 2, 0), S3GetObject("key", 3, None)])] == [b"", b"45"]


# ---- put_many, put_files ----


def test_files_are_stored_by_their_paths(s3: S3, bucket: str, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"in a file")
    rows: list[Any] = [
        ("a", str(file)),
        S3PutObject("b", path=str(file), content_type="text/x", metadata={"n": 1}),
        ("c", file),
    ]
    assert s3.put_files(rows) == [(key, f"s3://{bucket}/{key}") for key in "abc"]
    assert [got.blob for got in s3.get_many(["a", "b", "c"])] == [b"in a file"] * 3
    assert (s3.info("b").content_type, s3.info("b").metadata) == ("text/x", {"n": 1})
    assert s3.put_files([("a", file), ("d", file)], overwrite=False) == [("d", f"s3://{bucket}/d")]
    with pytest.raises(FileNotFoundError, match="no such") as caught:
        s3.put_files([("e", file), ("f", tmp_path / "no such")])
    assert isinstance(caught.value, errors.LocalFileNotFound)
    assert not s3.info("e", return_missing=True).exists


def test_put_many_into_a_missing_bucket_is_an_error(s3_server: RunningServer, tmp_path: Path) -> None:
    with s3_of(client_of(s3_server), "no-such-bucket", tmp_path) as s3:
        for overwrite in (True, False):
            with pytest.raises(errors.BucketNotFound):
                s3.put_many([("a", b"1"), ("b", b"2")], overwrite=overwrite)


def test_put_many_draws_from_a_generator_as_it_sends(s3_server: RunningServer, bucket: str, tmp_path: Path) -> None:
    alive: weakref.WeakSet[Any] = weakref.WeakSet()
    most = 0

    class Value(bytearray):
        """Unlike bytes, it can be referred to weakly."""

        __hash__ = object.__hash__  # type: ignore[assignment]

    def values() -> Iterator[tuple[str, Any]]:
        nonlocal most
        for i in range(300):
            value = Value(b"%d" % i)
            alive.add(value)
            most = max(most, len(alive))
            yield f"{i:03d}", value

    with s3_of(client_of(s3_server, requests_in_flight=8), bucket, tmp_path) as s3:
        stored = s3.put_many(values())
        assert [key for key, _ in stored] == [f"{i:03d}" for i in range(300)]
        assert [int(got.blob or b"") for got in s3.get_many(key for key, _ in stored)] == list(range(300))
    assert most < 100


def test_put_many_leaves_file_objects_open_and_put_closes_them(s3: S3) -> None:
    file = io.BytesIO(b"head and body")
    file.seek(9)
    s3.put_many([("rest", file)])
    assert not file.closed
    s3.put("whole", file)
    assert file.closed
    s3.put("whole", unused := io.BytesIO(b"other"), overwrite=False)
    assert unused.closed
    assert [got.blob for got in s3.get_many(["rest", "whole"])] == [b"body", b"head and body"]


@pytest.mark.parametrize("value", [7, None, ["list"], io.StringIO("text")])
def test_what_cannot_be_stored_is_refused_before_anything_is_sent(nowhere: Client, value: Any) -> None:
    s3 = S3(s3root="s3://bucket", client=nowhere)
    with pytest.raises(errors.InvalidObject, match="'key'"):
        s3.put("key", value)
    with pytest.raises(errors.InvalidObject, match="'key'"):
        s3.put_many([("first", b"x"), ("key", value)])


def test_metaflows_own_tuples_are_taken(s3: S3) -> None:
    class Theirs(tuple[Any, ...]):
        """As namedtuple makes it."""

        key, value, path, content_type, encryption, metadata = (property(itemgetter(i)) for i in range(6))

    s3.put_many([Theirs(("key", "value", None, "text/x", None, {"a": 1}))])
    got = s3.get(SimpleNamespace(key="key", offset=1, length=2))  # type: ignore[arg-type]
    assert (got.text, got.content_type, got.metadata) == ("al", "text/x", {"a": 1})


def test_what_no_content_type_is_given_for_is_binary(s3: S3) -> None:
    s3.put("key", "text")
    assert s3.info("key").content_type == "binary/octet-stream"


def test_a_listing_below_control_characters_is_whole(s3: S3, s3_server: RunningServer) -> None:
    s3.put("a/\x01\x02/b/c", b"")
    assert [found.key for found in s3.list_paths(["a/\x01\x02"])] == ["b"]


# ---- errors that trying again does not heal ----


def test_a_request_that_is_refused_as_wrong_is_not_tried_again(tmp_path: Path) -> None:
    wrong = error_reply(400, "InvalidArgument", "No such thing.")
    with ScriptedServer(lambda _: wrong) as server:
        s3 = s3_of(client_at(server.url), "some-bucket", tmp_path)
        for call in (lambda: s3.put_many([("a", b"x")]), lambda: s3.get_many(["a"]), s3.list_paths):
            with pytest.raises(errors.InvalidRequest, match="No such thing") as caught:
                call()
            assert caught.value.attempts == 1


def test_failures_on_purpose_are_tried_again(s3_server: RunningServer, bucket: str, tmp_path: Path) -> None:
    client = client_of(s3_server, inject_failures=90)
    with s3_of(client, bucket, tmp_path) as s3:
        rows = [(str(i), str(i)) for i in range(40)]
        s3.put_many(rows)
        assert [got.text for got in s3.get_many(key for key, _ in rows)] == [value for _, value in rows]
        assert [found.size for found in s3.info_many(["1", "11"])] == [1, 2]


def test_failures_for_good_are_an_error_that_says_so(nowhere: Client) -> None:
    s3 = S3(s3root="s3://bucket", endpoint_url="http://127.0.0.1:1", inject_failure_rate=100)
    with pytest.raises(errors.ServerError, match="failed") as caught:
        s3.put_many([("a", b"1"), ("b", b"2")])
    assert caught.value.attempts == Settings().attempts


# ---- the end ----


def test_use_after_close_warns_and_works(s3: S3, tmp_path: Path) -> None:
    s3.put("key", b"value")
    got = s3.get("key")
    s3.close()
    for use in (lambda: s3.get("key"), lambda: s3.put("key", b"x"), s3.list_paths, lambda: got.path):
        with pytest.warns(DeprecationWarning, match="closed") as caught:
            use()
        assert caught[0].filename == __file__
    s3.close()
    assert list(tmp_path.iterdir()) == []


def test_files_that_nobody_removes_go_with_the_process(s3_server: RunningServer, bucket: str, tmp_path: Path) -> None:
    script = (
        "import sys; from fastdatastore import S3; s3 = S3(sys.argv[1], s3root=sys.argv[2]); s3.put('key', b'value');"
        "print(open(s3.get('key').path).read())"
    )
    command = [sys.executable, "-c", script, str(tmp_path), f"s3://{bucket}"]
    environment = os.environ | s3_server.env()
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "value\n"
    assert list(tmp_path.iterdir()) == []


def test_a_client_in_a_with_does_not_warn(s3: S3) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        s3.put("key", b"value")
        assert Path(s3.get("key").path or "").read_bytes() == b"value"
