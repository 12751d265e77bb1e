"""A source of jobs that has none at the moment says None: what is on the way goes on, and it is asked again."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import aclosing, closing

import pytest

from fastdatastore.config import MIB, Settings
from fastdatastore.engine.client import Client
from fastdatastore.engine.get import GetJob
from fastdatastore.testing import servers


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    if (why := servers.why_unavailable("null")) is not None:
        pytest.skip(why)
    with servers.start("null", mode="fixed") as server:
        for name, value in server.env().items():
            monkeypatch.setenv(name, value)
        yield Client(settings=Settings())


class OneAfterTheOther:
    """Jobs, of which each waits for the one before."""

    def __init__(self, client: Client, count: int) -> None:
        self.client = client
        self.count = count
        self.ended: list[GetJob] = []
        self.asked = 0

    def jobs(self) -> Iterator[GetJob | None]:
        for number in range(self.count):
            while len(self.ended) < number:
                self.asked += 1
                yield None
            yield self.client.get("bucket", f"{number}.{3 * MIB}")


def test_it_is_asked_again_until_its_next_job_is_there(client: Client) -> None:
    source = OneAfterTheOther(client, 5)
    for job in client.run(source.jobs()):
        assert job.error is None
        source.ended.append(job)
    assert [job.key for job in source.ended] == [f"{number}.{3 * MIB}" for number in range(5)]


def test_so_it_is_in_an_event_loop(client: Client) -> None:
    source = OneAfterTheOther(client, 5)

    async def run() -> None:
        async with aclosing(client.arun(source.jobs())) as ended:
            async for job in ended:
                assert job.error is None
                source.ended.append(job)

    asyncio.run(run())
    assert len(source.ended) == 5


def test_who_waits_for_a_thread_is_asked_again_with_nothing_on_the_way(client: Client) -> None:
    ready = threading.Event()
    threading.Timer(0.05, ready.set).start()
    asked = 0

    def jobs() -> Iterator[GetJob | None]:
        nonlocal asked
        while not ready.is_set():
            asked += 1
            yield None
        yield client.get("bucket", "a.5")

    assert [job.size for job in client.run(jobs())] == [5]
    assert 2 <= asked <= 100  # not all the time


def test_a_source_with_nothing_more_ends_the_run(client: Client) -> None:
    nothing: list[GetJob | None] = [None, None]
    assert list(client.run(nothing)) == []


def test_who_watches_is_called_while_the_source_has_nothing(client: Client) -> None:
    turns: list[int] = []

    def nothing() -> Iterator[None]:
        while len(turns) < 5:
            yield None

    assert list(client.run(nothing(), turns.append)) == []


def test_what_a_source_raises_ends_the_run(client: Client) -> None:
    def jobs() -> Iterator[GetJob | None]:
        yield client.get("bucket", f"a.{3 * MIB}")
        yield None
        raise LookupError("no more")

    with pytest.raises(LookupError, match="no more"), closing(client.run(jobs())) as ended:
        list(ended)
