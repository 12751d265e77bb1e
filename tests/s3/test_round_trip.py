"""What goes in comes out, on every server: values, sizes, ranges, metadata, listings, order, files, forks."""

from __future__ import annotations

import ctypes
import io
import multiprocessing
import os
import pickle
import random
import threading
import weakref
from array import array
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy
import pytest

from fastdatastore import S3, RangeInfo, S3GetObject, S3PutObject
from fastdatastore.config import MIB
from fastdatastore.engine.client import Client
from fastdatastore.engine.get import INLINE_MAX
from fastdatastore.engine.ranges import ByteRange
from fastdatastore.errors import ConfigurationError, InvalidKey, InvalidRange, NotFound
from fastdatastore.testing.servers import RunningServer
from tests.support.clients import client_of, s3_of

SIZES = (
    0,
    1,
    INLINE_MAX - 1,
    INLINE_MAX,
    INLINE_MAX + 1,
    8 * MIB - 1,
    8 * MIB,
    8 * MIB + 1,
    16 * MIB,
    16 * MIB + 1,
    50 * MIB + 3,
)
RANDOM = random.Random(7).randbytes(max(SIZES))

# How a server lets us verify what we have put: (upload, download).
VERIFIED_BY = {
    "seaweedfs": ("crc64nvme", "crc64nvme"),
    "minio": ("crc64nvme", "crc64nvme"),
    "ceph": ("sha256", "crc64nvme-metadata"),
    "moto": ("sha256", "crc64nvme-metadata"),
    "null": ("crc64nvme", "crc64nvme"),
}
# moto promises a CRC-64 at CreateMultipartUpload, and forgets it for parts; that of the whole is right only where
# awscrt is installed. A client that knows it does better, see below.
FIRST_MULTIPART = VERIFIED_BY | {"moto": ("length", "crc64nvme" if find_spec("awscrt") else "length")}


# ---- values ----

VALUES: dict[str, tuple[Callable[[], Any], bytes]] = {
    "str": (lambda: "grüße 🌍", "grüße 🌍".encode()),
    "bytes": (lambda: b"bytes", b"bytes"),
    "bytearray": (lambda: bytearray(b"array"), b"array"),
    "memoryview": (lambda: memoryview(b"0123456789")[2:5], b"234"),
    "array of doubles": (lambda: array("d", [1.0, 2.5]), array("d", [1.0, 2.5]).tobytes()),
    "two-dimensional ctypes array": (lambda: (ctypes.c_int32 * 2 * 3)(), bytes(24)),
    "ctypes array with a zero in its shape": (lambda: (ctypes.c_int32 * 2 * 0)(), b""),
    "BytesIO": (lambda: io.BytesIO(b"file object"), b"file object"),
    "BytesIO not at its start": (lambda: _at(io.BytesIO(b"from the start"), 5), b"from the start"),
    "BytesIO that is empty": (lambda: io.BytesIO(), b""),
}


def _at(file: io.BytesIO, offset: int) -> io.BytesIO:
    file.seek(offset)
    return file


@pytest.mark.fault("buffers")
@pytest.mark.parametrize("kind", VALUES)
def test_a_value_of_any_kind_comes_back_as_bytes(s3: S3, bucket: str, kind: str) -> None:
    make, wanted = VALUES[kind]
    assert s3.put("some/key", make()) == f"s3://{bucket}/some/key"
    got = s3.get("some/key")
    assert got.blob == wanted
    assert got.size == len(wanted)
    assert got.downloaded


def test_an_open_file_is_uploaded_from_its_start_and_closed(s3: S3, tmp_path: Path) -> None:
    path = tmp_path / "data"
    path.write_bytes(RANDOM[: 17 * MIB])
    with path.open("rb") as file:
        file.seek(100)
        s3.put("file", file)
        assert file.closed
    with path.open("rb", buffering=0) as raw:
        s3.put("raw", raw)
    assert s3.get("file").blob == s3.get("raw").blob == RANDOM[: 17 * MIB]


def test_paths_are_uploaded_by_put_many(s3: S3, tmp_path: Path) -> None:
    for name, size in (("empty", 0), ("small", 10), ("large", 17 * MIB)):
        (tmp_path / name).write_bytes(RANDOM[:size])
    s3.put_many([S3PutObject(name, path=str(tmp_path / name)) for name in ("empty", "small", "large")])
    assert [o.blob for o in s3.get_many(["empty", "small", "large"])] == [b"", RANDOM[:10], RANDOM[: 17 * MIB]]


@pytest.mark.fault("buffers")
@pytest.mark.parametrize("value", [7, None, ["a"], memoryview(bytes(8))[::2], "\ud800"])
def test_a_value_that_cannot_be_stored_is_refused(s3: S3, value: Any) -> None:
    with pytest.raises(ConfigurationError):
        s3.put("key", value)
    assert s3.list_recursive() == []


# ---- sizes ----


@pytest.mark.fault("0 bytes")
@pytest.mark.parametrize("size", SIZES)
def test_an_object_of_any_size_comes_back_verified(
    client: Client, bucket: str, s3_server: RunningServer, size: int
) -> None:
    up, down = (FIRST_MULTIPART if size > 16 * MIB else VERIFIED_BY)[s3_server.name]
    put = client.run_one(client.put(bucket, "sized", memoryview(RANDOM)[:size]))
    assert put.verified_by == up
    got = client.run_one(client.get(bucket, "sized"))
    assert got.size == got.total_size == size
    assert got.content == memoryview(RANDOM)[:size]
    assert got.verified_by == down


def test_what_was_learnt_of_a_server_serves_the_next_upload(
    client: Client, bucket: str, s3_server: RunningServer
) -> None:
    for _ in range(2):
        put = client.run_one(client.put(bucket, "key", RANDOM))
    assert (put.verified_by, client.run_one(client.get(bucket, "key")).verified_by) == VERIFIED_BY[s3_server.name]


def test_an_object_into_a_file_appears_whole(client: Client, bucket: str, tmp_path: Path) -> None:
    client.run_one(client.put(bucket, "key", RANDOM))
    client.run_one(client.get(bucket, "key", client.file_sink(tmp_path / "file")))
    assert (tmp_path / "file").read_bytes() == RANDOM
    assert list(tmp_path.iterdir()) == [tmp_path / "file"]


# ---- many ----


@pytest.mark.fault("duplicates")
def test_many_come_back_in_order_with_duplicates(s3: S3, bucket: str) -> None:
    rows = [(f"k/{i:03d}", f"value {i}") for i in range(40)]
    assert s3.put_many(rows) == [(key, f"s3://{bucket}/{key}") for key, _ in rows]
    wanted = [key for key, _ in rows]
    random.Random(1).shuffle(wanted)
    wanted += wanted[:7]
    got = s3.get_many(iter(wanted))
    assert [o.key for o in got] == wanted
    assert [o.text for o in got] == [dict(rows)[key] for key in wanted]


def test_nothing_asked_is_nothing_done(s3: S3) -> None:
    assert s3.get_many([]) == []
    assert s3.put_many([]) == []


def test_what_is_missing_is_an_error_unless_asked_for(s3: S3) -> None:
    s3.put("there", b"1")
    with pytest.raises(NotFound):
        s3.get_many(["there", "missing"])
    with pytest.raises(NotFound):
        s3.info("missing")
    there, missing = s3.get_many(["there", "missing"], return_missing=True)
    assert there.exists
    assert (missing.exists, missing.size, missing.blob, missing.path) == (False, None, None, None)
    assert not missing.downloaded
    assert missing.key == "missing"
    assert not s3.get("missing", return_missing=True).exists
    assert not s3.info("missing", return_missing=True).exists


def test_overwrite_false_leaves_what_is_there(s3: S3, bucket: str) -> None:
    s3.put("key", "first")
    assert s3.put("key", "second", overwrite=False) == f"s3://{bucket}/key"
    assert s3.put_many([("key", "third"), ("new", "third")], overwrite=False) == [("new", f"s3://{bucket}/new")]
    assert [o.text for o in s3.get_many(["key", "new"])] == ["first", "third"]
    s3.put("key", "fourth")
    assert s3.get("key").text == "fourth"


@pytest.mark.parametrize("size", [10, 17 * MIB])
@pytest.mark.parametrize("drawn", [list, iter], ids=["list", "generator"])
def test_of_two_values_for_one_key_the_last_one_stays(s3: S3, bucket: str, drawn: Any, size: int) -> None:
    rows = [("twice", RANDOM[:size]), ("once", b"1"), ("twice", RANDOM[1 : size // 2]), ("twice", b"the last")]
    assert s3.put_many(drawn(rows)) == [(key, f"s3://{bucket}/{key}") for key, _ in rows]
    assert [o.blob for o in s3.get_many(["twice", "once"])] == [b"the last", b"1"]


def test_of_two_values_for_one_key_the_first_one_stays_without_overwrite(s3: S3, bucket: str) -> None:
    rows = [("twice", b"first"), ("once", b"1"), ("twice", b"second")]
    stored = s3.put_many(rows, overwrite=False)
    assert stored == [("twice", f"s3://{bucket}/twice"), ("once", f"s3://{bucket}/once")]
    assert s3.get("twice").text == "first"


def test_values_of_a_generator_are_drawn_as_there_is_room(
    s3_server: RunningServer, bucket: str, tmp_path: Path
) -> None:
    values: list[weakref.ref[Any]] = []
    most = 0

    def rows() -> Iterator[tuple[str, Any]]:
        nonlocal most
        for i in range(60):
            value = numpy.full(MIB, i, "u1")
            values.append(weakref.ref(value))
            most = max(most, sum(value() is not None for value in values))
            yield f"{i}", value

    with s3_of(client_of(s3_server, parts_in_flight=8), bucket, tmp_path) as s3:
        s3.put_many(rows())
        assert most < 30
        assert s3.get("59").blob == bytes([59]) * MIB


# ---- what is known of an object ----


def test_metadata_and_content_type_come_back(s3: S3) -> None:
    metadata = {"name": "grüße", "n": 1, "list": [1, {"deep": None}]}
    s3.put("small", b"x", content_type="text/x-test", metadata=metadata)
    s3.put("large", RANDOM[: 17 * MIB], content_type="text/x-test", metadata=metadata)
    for found in (s3.info("small"), s3.get("small"), s3.info("large"), s3.get("large")):
        assert found.metadata == metadata
        assert found.content_type == "text/x-test"
        assert found.has_info
        assert found.last_modified is not None
        assert found.last_modified > 1.6e9


def test_without_info_only_the_bytes_are_known(s3: S3) -> None:
    s3.put("key", b"x", metadata={"a": 1})
    got = s3.get("key", return_info=False)
    assert (got.has_info, got.metadata, got.range_info, got.last_modified) == (False, None, None, None)
    assert got.blob == b"x"


def test_info_has_the_size_and_no_bytes(s3: S3) -> None:
    s3.put("key", b"12345")
    found = s3.info("key")
    assert (found.size, found.exists, found.downloaded, found.blob, found.path) == (5, True, False, None, None)
    assert found.range_info is None  # as metaflow.S3 has it: it tells of bytes


def test_metadata_that_is_not_json_is_refused(s3: S3) -> None:
    with pytest.raises(ConfigurationError, match="JSON"):
        s3.put("key", b"x", metadata={"a": object()})


def test_keys_prefixes_and_urls_follow_metaflow(client: Client, bucket: str, tmp_path: Path) -> None:
    with s3_of(client, bucket, tmp_path, "root/") as s3:
        s3.put("a/b", b"1")
        s3.put("/c", b"2")
        got = s3.get("a/b")
        assert (got.url, got.prefix, got.key) == (f"s3://{bucket}/root/a/b", f"s3://{bucket}/root", "a/b")
        assert s3.get("c").url == f"s3://{bucket}/root/c"
        with pytest.raises(InvalidKey):
            s3.get(f"s3://{bucket}/root/c")
        assert not s3.get(return_missing=True).exists
    with S3(tmproot=str(tmp_path), s3root=f"s3://{bucket}/root/c", client=client) as s3:
        itself = s3.get()
        assert (itself.key, itself.prefix, itself.text) == (f"s3://{bucket}/root/c", None, "2")
    with S3(tmproot=str(tmp_path), client=client) as s3:
        url = f"s3://{bucket}/root/c"
        got = s3.get(url)
        assert (got.url, got.key, got.prefix) == (url, url, None)
        for bad in ("root/c", None, f"s3://{bucket}", f"s3://{bucket}/", "http://x/y"):
            with pytest.raises(InvalidKey):
                s3.get(bad)


# ---- listings ----


def test_listings_read_keys_as_directories(client: Client, bucket: str, tmp_path: Path) -> None:
    keys = ("a/1", "a/2", "a/deep/3", "ab/4", "top")
    with s3_of(client, bucket, tmp_path, "root") as s3:
        s3.put_many([(key, key) for key in keys])
        root = f"s3://{bucket}/root"
        one_level = s3.list_paths()
        assert sorted((o.key, o.exists) for o in one_level) == [("a", False), ("ab", False), ("top", True)]
        assert {o.key: o.url for o in one_level}["a"] == f"{root}/a/"
        assert {o.prefix for o in one_level} == {f"{root}/"}
        below = s3.list_paths(["a"])
        assert sorted((o.key, o.size) for o in below) == [("1", 3), ("2", 3), ("deep", None)]
        assert {o.prefix for o in below} == {f"{root}/a/"}
        everything = s3.list_recursive()
        assert sorted((o.key, o.size) for o in everything) == [(key, len(key)) for key in sorted(keys)]
        assert {o.prefix for o in everything} == {root}
        deep = s3.list_recursive(["a/", "ab"])
        assert sorted(o.key for o in deep) == ["1", "2", "4", "deep/3"]
        assert {o.prefix for o in deep} == {f"{root}/a", f"{root}/ab"}
        assert all(o.last_modified is not None and not o.downloaded and not o.has_info for o in deep)
        assert s3.list_paths(["missing"]) == s3.list_recursive(["missing"]) == []


def test_a_listing_goes_over_many_pages(s3: S3) -> None:
    keys = [f"page/{i:04d}" for i in range(1003)]
    s3.put_many([(key, b"") for key in keys])
    assert sorted(o.key for o in s3.list_recursive(["page"])) == [key.removeprefix("page/") for key in keys]


# ---- ranges ----

RANGED = 20 * MIB + 5


@pytest.mark.parametrize(
    ("offset", "length", "first", "last"),
    [
        (0, 10, 0, 10),
        (5, None, 5, RANGED),
        (None, 7, 0, 7),
        (None, None, 0, RANGED),
        (0, RANGED, 0, RANGED),
        (RANGED - 3, 100, RANGED - 3, RANGED),
        (7, 17 * MIB, 7, 7 + 17 * MIB),
        (123, -5, RANGED - 5, RANGED),
        (0, -(RANGED + 10), 0, RANGED),
        (0, -(18 * MIB), RANGED - 18 * MIB, RANGED),
        (9, 0, 9, 9),
    ],
)
def test_a_range_is_exactly_those_bytes(
    client: Client, ranged: str, tmp_path: Path, offset: int | None, length: int | None, first: int, last: int
) -> None:
    with s3_of(client, ranged, tmp_path) as s3:
        got = s3.get(S3GetObject("ranged", offset, length))
        assert got.view == memoryview(RANDOM)[first:last]
        assert got.range_info == RangeInfo(RANGED, first, last - first)
        assert got.size == last - first


@pytest.fixture(scope="module")
def ranged(s3_server: RunningServer) -> str:
    """The name of a bucket with an object "ranged" of RANGED bytes."""
    name = f"ranged-{os.getpid()}"
    s3_server.create_bucket(name)
    client = client_of(s3_server)
    client.run_one(client.put(name, "ranged", memoryview(RANDOM)[:RANGED]))
    return name


def test_ranges_and_whole_objects_mix_in_one_call(client: Client, ranged: str, tmp_path: Path) -> None:
    with s3_of(client, ranged, tmp_path) as s3:
        wanted: list[Any] = [
            S3GetObject("ranged", 1, 2),
            "ranged",
            S3GetObject("ranged", 1, 3),
            S3GetObject("ranged", 1, 2),
        ]
        assert [o.size for o in s3.get_many(wanted)] == [2, RANGED, 3, 2]


@pytest.mark.fault(38, "ranges")
@pytest.mark.parametrize(("offset", "length"), [(RANGED, 1), (RANGED + 5, None), (RANGED + 1, 0), (-1, 5)])
def test_a_range_outside_of_the_object_is_an_error(
    client: Client, ranged: str, tmp_path: Path, offset: int, length: int | None
) -> None:
    with s3_of(client, ranged, tmp_path) as s3, pytest.raises(InvalidRange, match=f"s3://{ranged}/ranged"):
        s3.get(S3GetObject("ranged", offset, length))


@pytest.mark.fault(38)
def test_a_range_of_an_empty_object_is_an_error_unless_it_is_empty_too(s3: S3) -> None:
    s3.put("empty", b"")
    assert s3.get(S3GetObject("empty", 0, 0)).blob == b""
    with pytest.raises(InvalidRange):
        s3.get(S3GetObject("empty", 0, 10))


# ---- files and text ----


def test_files_vanish_when_the_client_is_closed(s3: S3, tmp_path: Path) -> None:
    s3.put("key", RANDOM[: 9 * MIB])
    got = s3.get("key")
    assert list(tmp_path.iterdir()) == []  # in memory until a path is asked for
    assert got.path == got.path
    path = Path(got.path or "")
    assert path.read_bytes() == RANDOM[: 9 * MIB]
    assert tmp_path in path.parents
    s3.close()
    assert list(tmp_path.iterdir()) == []
    assert got.view == memoryview(RANDOM)[: 9 * MIB]  # the view outlives it


def test_results_beyond_the_ceiling_are_files(s3_server: RunningServer, bucket: str, tmp_path: Path) -> None:
    client = client_of(s3_server, memory_ceiling=9 * MIB)
    with s3_of(client, bucket, tmp_path) as s3:
        s3.put_many([("a", RANDOM[: 8 * MIB]), ("b", RANDOM[: 20 * MIB]), ("c", b"small"), ("d", RANDOM[: 2 * MIB])])
        got = s3.get_many(["a", "b", "c", "d"])
        assert len(list(next(tmp_path.iterdir()).iterdir())) >= 1
        assert [o.blob for o in got] == [RANDOM[: 8 * MIB], RANDOM[: 20 * MIB], b"small", RANDOM[: 2 * MIB]]
        assert Path(got[1].path or "").stat().st_size == 20 * MIB
    assert list(tmp_path.iterdir()) == []


def test_text_replaces_what_is_not_utf8(s3: S3) -> None:
    s3.put("key", b"ok \xff\xfe")
    assert s3.get("key").text == "ok \ufffd\ufffd"


# ---- threads and processes ----


def test_threads_share_a_client(s3: S3) -> None:
    failures: list[BaseException] = []

    def work(name: str) -> None:
        try:
            for i in range(5):
                value = RANDOM[i : i + 17 * MIB]
                s3.put(f"{name}/{i}", value)
                assert s3.get(f"{name}/{i}").blob == value
                s3.put_many([(f"{name}/small/{j}", f"{name}{j}") for j in range(20)])
                assert [o.text for o in s3.get_many([f"{name}/small/{j}" for j in range(20)])] == [
                    f"{name}{j}" for j in range(20)
                ]
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(name,)) for name in ("one", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def _work_in_child(s3: S3, queue: Any) -> None:
    s3.put("child", RANDOM[: 17 * MIB])
    queue.put(s3.get("child").blob == RANDOM[: 17 * MIB] and s3.get("parent").size == 50 * MIB)


@pytest.mark.fault(64)
def test_a_forked_child_transfers_while_its_parent_does(s3: S3) -> None:
    s3.put("parent", RANDOM[: 50 * MIB])
    context = multiprocessing.get_context("fork")
    results = context.Queue()
    stop = threading.Event()
    failures = []

    def load() -> None:
        while not stop.is_set():
            if s3.get("parent").view != memoryview(RANDOM)[: 50 * MIB]:
                failures.append("wrong bytes in the parent")

    thread = threading.Thread(target=load)
    thread.start()
    try:
        children = [context.Process(target=_work_in_child, args=(s3, results)) for _ in range(2)]
        for child in children:
            child.start()
        assert [results.get(timeout=30) for _ in children] == [True, True]
        for child in children:
            child.join(10)
            assert child.exitcode == 0
    finally:
        stop.set()
        thread.join()
    assert failures == []


@pytest.mark.fault(64)
def test_a_fork_in_the_middle_of_a_get_leaves_both_sides_whole(client: Client, bucket: str) -> None:
    for i in range(3):
        client.run_one(client.put(bucket, f"big/{i}", memoryview(RANDOM)[i : i + 40 * MIB]))
    jobs = [client.get(bucket, f"big/{i}") for i in range(3)]
    children = []
    ended = []
    for job in client.run(iter(jobs)):
        pid = os.fork()
        if not pid:
            code = 1
            try:  # the others are on their way in the parent, none of ours
                again = client.run_one(client.get(bucket, "big/1", byte_range=ByteRange(5, 9 * MIB)))
                code = 0 if again.content == memoryview(RANDOM)[6 : 6 + 9 * MIB] else 2
            finally:
                os._exit(code)
        children.append(pid)
        ended.append(job)
    assert [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children] == [0, 0, 0]
    assert all(job.error is None for job in ended)
    for i, job in enumerate(jobs):
        assert job.content == memoryview(RANDOM)[i : i + 40 * MIB]


def test_a_forked_child_leaves_its_parents_files_alone(s3_server: RunningServer, bucket: str, tmp_path: Path) -> None:
    with s3_of(client_of(s3_server, memory_ceiling=1), bucket, tmp_path) as s3:
        s3.put_many([("parent", b"parent"), ("child", b"child")])
        before = s3.get("parent")
        pid = os.fork()
        if not pid:
            code = 1
            try:
                got = s3.get("child")
                apart = Path(got.path or "").parent != Path(before.path or "").parent
                code = 0 if got.blob == b"child" and apart else 2
                s3.close()
            finally:
                os._exit(code)
        after = s3.get("parent")
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        assert before.blob == after.blob == b"parent"
    assert list(tmp_path.iterdir()) == []


# ---- pickles ----


def test_a_pickled_client_works_elsewhere(s3: S3, bucket: str) -> None:
    s3.put("key", b"value")
    again = pickle.loads(pickle.dumps(s3))
    assert again.get("key").blob == b"value"
    assert repr(again) == repr(s3)
    assert f"s3://{bucket}" in repr(again)


@pytest.mark.fault(35)
def test_errors_survive_pickling(s3: S3, bucket: str) -> None:
    with pytest.raises(NotFound) as caught:
        s3.get("missing")
    caught.value.add_note("seen in step train")
    again = pickle.loads(pickle.dumps(caught.value))
    assert type(again) is NotFound
    assert str(again) == str(caught.value)
    assert vars(again) == vars(caught.value)
    assert (again.operation, again.bucket, again.key, again.status) == ("GetObject", bucket, "missing", 404)
