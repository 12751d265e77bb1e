"""get_into: downloads land in the caller's own memory."""

from __future__ import annotations

import asyncio
import gc
import mmap
import random
import threading
from array import array
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fastdatastore import S3, AsyncS3, S3GetObject
from fastdatastore.config import MIB
from fastdatastore.engine import process
from fastdatastore.engine.client import Client
from fastdatastore.errors import ConfigurationError, IntegrityError, NotFound, S3Error
from tests.support.clients import client_at
from tests.support.scripted_server import Received, Reply, ScriptedServer, StoredObject, error_reply

pytestmark = pytest.mark.servers("null", "seaweedfs")

LARGE = random.Random(5).randbytes(20 * MIB + 7)

BUFFERS: dict[str, Callable[[int], Any]] = {
    "bytearray": bytearray,
    "memoryview": lambda size: memoryview(bytearray(size)),
    "memoryview of doubles": lambda size: memoryview(bytearray(-(-size // 8) * 8)).cast("d"),
    "array": lambda size: array("q", bytes(-(-size // 8) * 8)),
    "two-dimensional NumPy array": lambda size: np.zeros((-(-size // 40), 5), np.float64),
    "mmap": lambda size: mmap.mmap(-1, max(size, 1)),
}


@pytest.mark.parametrize("size", [0, 1, 300_000, len(LARGE)])
@pytest.mark.parametrize("kind", BUFFERS)
def test_an_object_lands_at_the_start_of_a_buffer_of_any_kind(s3: S3, kind: str, size: int) -> None:
    s3.put("key", memoryview(LARGE)[:size], metadata={"a": 1})
    buffer = BUFFERS[kind](size)
    result = s3.get_into("key", buffer)
    assert memoryview(buffer).tobytes()[:size] == LARGE[:size]
    assert (result.size, result.metadata, result.verified_by != "") == (size, {"a": 1}, True)
    assert not result.downloaded  # the result does not hold the buffer


def test_a_larger_buffer_keeps_what_is_behind_the_object(s3: S3) -> None:
    s3.put("key", LARGE)
    buffer = bytearray(b"\xaa") * (len(LARGE) + 100)
    assert s3.get_into("key", buffer).size == len(LARGE)
    assert buffer[len(LARGE) :] == b"\xaa" * 100


def test_a_range_lands_at_the_start(s3: S3) -> None:
    s3.put("key", LARGE)
    buffer = bytearray(10 * MIB)
    got = s3.get_into(S3GetObject("key", 1000, 9 * MIB), buffer)
    assert buffer[: 9 * MIB] == LARGE[1000 : 1000 + 9 * MIB]
    assert got.range_info == (len(LARGE), 1000, 9 * MIB)
    assert s3.get_into(S3GetObject("key", 5, 0), buffer).size == 0


def test_no_memory_of_the_pool_is_taken(s3: S3, client: Client) -> None:
    s3.put("key", LARGE)
    buffer = bytearray(len(LARGE))
    before = process.buffer_pool(client.settings).state()
    s3.get_into("key", buffer)
    after = process.buffer_pool(client.settings).state()
    assert [after[name] - before[name] for name in ("mapped", "recycled")] == [0, 0]


@pytest.mark.parametrize("size", [1000, len(LARGE)])
def test_a_buffer_that_is_too_small_is_refused_untouched(s3: S3, size: int) -> None:
    s3.put("key", memoryview(LARGE)[:size])
    buffer = bytearray(size - 1)
    with pytest.raises(ConfigurationError, match=f"{size:,}") as caught:
        s3.get_into("key", buffer)
    assert not any(buffer)
    buffer.extend(b"x")  # nothing holds it, even while the error is looked at
    assert caught.value is not None


def test_what_is_missing_is_an_error_or_said(s3: S3) -> None:
    buffer = bytearray(5)
    with pytest.raises(NotFound):
        s3.get_into("missing", buffer)
    assert not s3.get_into("missing", buffer, return_missing=True).exists


@pytest.mark.parametrize(
    "buffer",
    [
        b"12345678",
        memoryview(b"12345678"),
        memoryview(bytearray(16))[::2],
        np.zeros((4, 4))[:, 1],
        np.zeros(8, "M8[s]"),
        "12345678",
        None,
    ],
    ids=["bytes", "read-only view", "strided view", "column", "times", "str", "None"],
)
def test_what_cannot_be_written_to_is_refused_before_anything_is_sent(tmp_path: Path, buffer: Any) -> None:
    with ScriptedServer(StoredObject(b"12345").get) as server:
        s3 = S3(str(tmp_path), s3root="s3://some-bucket", client=client_at(server.url))
        with pytest.raises(ConfigurationError):
            s3.get_into("key", buffer)
        assert server.requests == []


def _cut(received: Received) -> Reply:
    """The last megabyte never comes."""
    reply = StoredObject(LARGE).get(received)
    if "range" in received.headers and received.range[1] >= len(LARGE) - MIB:
        return error_reply(500, "InternalError")
    return reply


@pytest.mark.parametrize("script", [_cut, StoredObject(LARGE, headers={"x-amz-checksum-crc32": "AAAAAA=="}).get])
def test_after_a_failure_the_buffer_is_free_while_the_error_is_looked_at(tmp_path: Path, script: Any) -> None:
    buffer = bytearray(len(LARGE))
    with ScriptedServer(script) as server:
        s3 = S3(str(tmp_path), s3root="s3://some-bucket", client=client_at(server.url, attempts=2))
        with pytest.raises((S3Error, IntegrityError)) as caught:
            s3.get_into("key", buffer)
        buffer.extend(b"x")  # BufferError, if anything still held it
        assert caught.value.__traceback__ is not None


def test_a_transfer_that_is_cancelled_lets_the_buffer_go(tmp_path: Path) -> None:
    asked = threading.Event()

    def script(received: Received) -> Reply:
        asked.set()
        return Reply(200, LARGE, {"etag": '"e"'}, stop_after=MIB, hang=True)

    buffer = bytearray(len(LARGE))

    async def main(s3: AsyncS3) -> None:
        gc.disable()  # reference counts alone must do
        transfer = asyncio.create_task(s3.get_into("key", buffer))
        await asyncio.to_thread(asked.wait, 10)
        await asyncio.sleep(0.2)
        transfer.cancel()
        with pytest.raises(asyncio.CancelledError):
            await transfer
        buffer.extend(b"x")
        gc.enable()

    with ScriptedServer(script) as server:
        asyncio.run(main(AsyncS3(str(tmp_path), s3root="s3://some-bucket", client=client_at(server.url))))


def test_it_can_be_awaited(s3: S3, client: Client, bucket: str, tmp_path: Path) -> None:
    s3.put("key", LARGE)
    buffer = bytearray(len(LARGE))

    async def main() -> None:
        async with AsyncS3(str(tmp_path), s3root=f"s3://{bucket}", client=client) as s3:
            assert (await s3.get_into("key", buffer)).size == len(LARGE)

    asyncio.run(main())
    assert buffer == LARGE
