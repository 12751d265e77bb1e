"""iter_many: any number of objects, each as soon as it is whole, in bounded memory."""

from __future__ import annotations

import asyncio
import gc
import random
import threading
import time
from collections.abc import Iterator
from contextlib import aclosing, closing
from pathlib import Path
from typing import Any

import pytest

from fastdatastore import S3, AsyncS3, S3GetObject
from fastdatastore.config import MIB
from fastdatastore.engine import process
from fastdatastore.engine.client import Client
from fastdatastore.errors import InvalidKey, NotFound
from fastdatastore.testing.servers import RunningServer
from tests.support.clients import client_at, client_of, s3_of
from tests.support.scripted_server import Received, Reply, ScriptedServer, StoredObject

pytestmark = pytest.mark.servers("null", "seaweedfs")

RANDOM = random.Random(9).randbytes(4 * MIB)
COUNT = 60


@pytest.fixture
def many(s3: S3) -> list[str]:
    """The keys of COUNT objects of different sizes, four of them large."""
    rows = [(f"k/{i:03d}", memoryview(RANDOM)[i : i + (3 * MIB if i % 15 == 0 else 1000 * i)]) for i in range(COUNT)]
    s3.put_many(rows)
    return [key for key, _ in rows]


def test_all_come_each_once_whatever_the_order(s3: S3, many: list[str]) -> None:
    got = {o.key: o.size for o in s3.iter_many(iter(many))}
    assert got == {key: 3 * MIB if i % 15 == 0 else 1000 * i for i, key in enumerate(many)}


def test_ranges_and_what_is_missing(s3: S3, many: list[str]) -> None:
    keys: list[Any] = [S3GetObject(many[1], 0, 10), S3GetObject(many[1], 5, 0), many[1], many[1], "missing"]
    got = list(s3.iter_many(keys, return_missing=True))
    assert sorted(o.size for o in got if o.size is not None) == [0, 10, 1000, 1000]
    assert [o.key for o in got if not o.exists] == ["missing"]
    with pytest.raises(NotFound):
        list(s3.iter_many([many[1], "missing"]))


def test_one_key_where_many_are_wanted_is_refused_at_the_call(s3: S3) -> None:
    with pytest.raises(InvalidKey):
        s3.iter_many("key")


def test_a_wrong_key_ends_it_with_that(s3: S3, many: list[str]) -> None:
    with pytest.raises(InvalidKey):
        list(s3.iter_many([many[1], "k" * 1025]))


def test_keys_are_drawn_as_there_is_room(s3: S3, many: list[str]) -> None:
    drawn = 0

    def endless() -> Iterator[str]:
        nonlocal drawn
        while True:
            drawn += 1
            yield many[drawn % COUNT]

    with closing(s3.iter_many(endless())) as results:
        for _, _ in zip(range(3 * COUNT), results, strict=False):
            pass
    assert drawn < 3 * COUNT + 2000  # as many as may be on the way


def test_a_stream_larger_than_the_ceiling_stays_below_it_in_memory(
    s3_server: RunningServer, bucket: str, tmp_path: Path
) -> None:
    gc.collect()
    before = process.result_memory().held
    ceiling = before + 16 * MIB
    with s3_of(client_of(s3_server, memory_ceiling=ceiling), bucket, tmp_path) as s3:
        s3.put_many((f"{i}", memoryview(RANDOM)[: 2 * MIB]) for i in range(40))
        most = spilled = 0
        for result in s3.iter_many(str(i) for i in range(40)):
            assert result.view == memoryview(RANDOM)[: 2 * MIB]
            most = max(most, process.result_memory().held)
            spilled += bool(list(tmp_path.rglob("0*")))
            del result
        assert most <= ceiling
        assert spilled == 0
    assert process.result_memory().held == before


def test_a_slow_consumer_is_waited_for(tmp_path: Path) -> None:
    stored = StoredObject(RANDOM[: 2 * MIB])
    with ScriptedServer(stored.get) as server:
        client = client_at(server.url, memory_ceiling=process.result_memory().held + 20 * MIB)
        s3 = S3(str(tmp_path), s3root="s3://some-bucket", client=client)
        with closing(s3.iter_many(str(i) for i in range(1000))) as results:
            next(results)
            time.sleep(0.3)
            asked = len(server.requests)
            time.sleep(0.3)
            assert len(server.requests) == asked
            assert asked < 20


def test_who_leaves_early_leaves_nothing_behind(s3: S3, many: list[str], client: Client, tmp_path: Path) -> None:
    gc.collect()
    held = process.result_memory().held
    in_use = process.buffer_pool(client.settings).state()["in_use_bytes"]
    for result in s3.iter_many(many):
        assert result.exists
        break
    del result
    gc.collect()
    assert process.result_memory().held == held
    assert process.buffer_pool(client.settings).state()["in_use_bytes"] == in_use
    assert not list(tmp_path.rglob("0*"))


def test_an_exception_of_the_consumer_ends_what_is_on_the_way(tmp_path: Path) -> None:
    hanging = threading.Event()

    def script(received: Received) -> Reply:
        if received.path.endswith("first"):
            hanging.wait(10)
            return Reply(200, b"x", {"etag": '"e"'})
        hanging.set()
        return Reply(200, RANDOM, {"etag": '"e"'}, stop_after=MIB, hang=True)

    began = time.monotonic()
    with ScriptedServer(script) as server:
        s3 = S3(str(tmp_path), s3root="s3://some-bucket", client=client_at(server.url, stall_timeout=30.0))

        def consume() -> None:
            for _ in s3.iter_many(["first", "second"]):
                raise KeyError("mine")

        with pytest.raises(KeyError, match="mine"):
            consume()
    assert time.monotonic() - began < 20  # not the stall timeout


def test_async_for_yields_them_as_they_end(
    s3: S3, many: list[str], client: Client, bucket: str, tmp_path: Path
) -> None:
    async def main() -> None:
        async with AsyncS3(str(tmp_path), s3root=f"s3://{bucket}", client=client) as s3:
            got = {o.key async for o in s3.iter_many(many)}
            assert got == set(many)
            async with aclosing(s3.iter_many(many)) as results:
                async for result in results:
                    assert result.exists
                    break
            with pytest.raises(NotFound):
                _ = [o async for o in s3.iter_many(["missing"])]

    asyncio.run(main())
