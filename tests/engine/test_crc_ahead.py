"""A server that keeps no checksums gets the CRC of everything at Create: it is taken in steps, a turn for each."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import aclosing, closing
from itertools import count
from pathlib import Path

import pytest

from fastdatastore.config import MIB
from fastdatastore.engine import integrity
from fastdatastore.engine.client import Client
from fastdatastore.engine.put.job import PutJob
from fastdatastore.engine.put.upload import CRC
from fastdatastore.engine.sources import MemorySource, crc_of
from tests.support.clients import client_at
from tests.support.scripted_server import Received, Reply, ScriptedServer

TIB = 1 << 40
CONTENT = bytes(range(256)) * (40 * MIB // 256) + b"tail"


def plain(received: Received) -> Reply:
    """Takes uploads, and says nothing of checksums."""
    if received.method == "POST" and "uploads" in received.query:
        return Reply(200, b"<InitiateMultipartUploadResult><UploadId>u1</UploadId></InitiateMultipartUploadResult>")
    if received.method == "POST":
        return Reply(200, b"<R><ETag>&quot;whole&quot;</ETag></R>")
    return Reply(200, b"", {"etag": '"e"'})


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer(plain) as server:
        yield server


@pytest.fixture
def client(server: ScriptedServer) -> Client:
    client = client_at(server.url)
    client.remote.learnt("bucket").checksums = False
    return client


class Tape(MemorySource):
    """Longer than anybody could read here. `steps`: how often it was read."""

    def __init__(self) -> None:
        super().__init__(bytes(8 * MIB))
        self.size = TIB
        self.steps = 0
        self.is_open = True

    def part(self, offset: int, length: int) -> memoryview:
        self.steps += 1
        return self._view[:length]

    def close(self) -> None:
        self.is_open = False


def put_tape(client: Client, tape: MemorySource) -> PutJob:
    return PutJob(client.remote, "bucket", "tape", lambda: tape)


def test_create_carries_the_crc_of_a_file(server: ScriptedServer, client: Client, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(CONTENT)
    turns: list[int] = []
    (job,) = client.run([client.put("bucket", "key", path)], turns.append)
    assert job.error is None
    creates = [received for received in server.requests if "uploads" in received.query]
    wanted = integrity.encode("crc64nvme", crc_of(CRC, CONTENT))
    assert [create.headers["x-amz-meta-fds-crc64nvme"] for create in creates] == [wanted]
    assert len(turns) > len(CONTENT) // (8 * MIB)


def test_files_whose_steps_wait_for_memory_get_it(server: ScriptedServer, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(CONTENT)
    client = client_at(server.url, memory_ceiling=16 * MIB)
    client.remote.learnt("bucket").checksums = False
    jobs = list(client.run(client.put("bucket", f"{number}", path) for number in range(6)))
    assert [job.error for job in jobs] == [None] * 6


def test_other_uploads_go_on_meanwhile(server: ScriptedServer, client: Client) -> None:
    tape = Tape()

    def jobs() -> Iterator[PutJob]:
        yield put_tape(client, tape)
        for number in range(50):
            yield client.put("bucket", f"{number}", b"small")
        yield client.put("bucket", "large", CONTENT)

    with closing(client.run(jobs())) as ended:
        keys = [next(ended).key for _ in range(50)]
    assert sorted(keys, key=int) == [f"{number}" for number in range(50)]
    assert not any("uploads" in received.query for received in server.requests)
    assert not tape.is_open


def test_an_event_loop_has_its_turns_between_two_steps(client: Client) -> None:
    tape = Tape()

    async def put() -> None:
        async with aclosing(client.arun([put_tape(client, tape)])) as ended:
            async for _ in ended:
                pass

    async def run() -> None:
        task = asyncio.create_task(put())
        while tape.steps < 3:
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()

    asyncio.run(run())
    assert not tape.is_open


class EnoughError(Exception):
    pass


def test_few_files_are_open_that_wait_for_their_crc(client: Client) -> None:
    tapes: list[Tape] = []

    def open_tape() -> Tape:
        tapes.append(Tape())
        return tapes[-1]

    turn = count()

    def watch(_: int) -> None:
        if next(turn) == 20:
            raise EnoughError

    jobs = (PutJob(client.remote, "bucket", f"{number}", open_tape) for number in range(100))
    with pytest.raises(EnoughError):
        list(client.run(jobs, watch))
    assert 1 < len(tapes) < 10
    assert [tape.steps > 0 for tape in tapes] == [True] + [False] * (len(tapes) - 1)
    assert sum(tape.steps for tape in tapes) <= 20
    assert not any(tape.is_open for tape in tapes)


class Torn(Tape):
    def part(self, offset: int, length: int) -> memoryview:
        if self.steps == 3:
            raise OSError("torn")
        return super().part(offset, length)


def test_what_cannot_be_read_fails_alone(client: Client) -> None:
    torn = Torn()
    jobs = {job.key: job for job in client.run([put_tape(client, torn), client.put("bucket", "key", CONTENT)])}
    assert repr(jobs["tape"].error) == "OSError('torn')"
    assert jobs["key"].error is None
    assert not torn.is_open
