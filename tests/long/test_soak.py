"""Mixed work on a good line and on a bad one, for FDS_SOAK_SECONDS (600); then every gauge stands where it stood."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import gc
import io
import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fastdatastore import S3, AsyncS3, S3GetObject, S3PutObject
from fastdatastore.config import KIB, MIB
from fastdatastore.engine import process
from fastdatastore.engine.client import Client
from fastdatastore.engine.delete import DeleteJob
from fastdatastore.engine.uploads import AbortJob, ListUploadsJob
from fastdatastore.errors import S3Error
from fastdatastore.testing.faults import Corrupt, Fault, FaultProxy, Fin, Latency, Reset, SwallowReply, answers
from fastdatastore.testing.servers import null
from tests.support.clients import client_of, s3_of

SECONDS = float(os.environ.get("FDS_SOAK_SECONDS", "600"))
THREADS = 3  # on each line
TASKS = 4
WEATHER_SECONDS = 5.0
PATIENCE = 30.0  # seconds for idle connections to be closed
ROUNDS = 6
WARM = 2  # rounds after which memory is what such work needs
GROWTH_MAX = 64 * MIB  # from then on
SETTINGS: dict[str, Any] = {"part_size": 5 * MIB, "stall_timeout": 5.0, "attempts": 10, "memory_ceiling": 64 * MIB}
BUCKET = "soak"
RANDOM = random.Random(31).randbytes(12 * MIB)
SIZES = (0, 1, 1000, 16 * KIB, 300 * KIB, 1 * MIB, 6 * MIB, 11 * MIB)
KEYS = 24

pytestmark = [pytest.mark.long, pytest.mark.timeout(SECONDS + 300)]


def content_of(key: str) -> memoryview:
    """What is stored under a key, if anything is: so that a reader can tell without asking the writers."""
    number = int(key.rpartition("-")[2])
    return memoryview(RANDOM)[number : number + SIZES[number % len(SIZES)]]


class Worker:
    """One thread's work: a verb at random, again and again. It checks every byte that it gets."""

    def __init__(self, s3: S3, client: Client, prefix: str, seed: int, directory: Path) -> None:
        self.s3 = s3
        self.client = client
        self.prefix = prefix
        self.chance = random.Random(seed)
        self.source = directory / f"source-{seed}"
        self.done = 0
        self.failed = 0

    def key(self) -> str:
        return f"{self.chance.choice(('a', 'b/c'))}/key-{self.chance.randrange(KEYS)}"

    def turn(self) -> None:
        verbs: list[Callable[[], None]] = [self.put, self.put_many, self.get, self.get, self.get_many, self.get_range]
        verbs += [self.get_file, self.walk_away, self.list_all, self.delete]
        try:
            self.chance.choice(verbs)()
        except S3Error:
            self.failed += 1
        self.done += 1

    def put(self) -> None:
        key = self.key()
        content = content_of(key)
        self.s3.put(key, io.BytesIO(content) if self.chance.random() < 0.3 else content)

    def put_many(self) -> None:
        keys = {self.key() for _ in range(6)}
        file = self.key()
        self.source.write_bytes(content_of(file))
        self.s3.put_many([*((key, content_of(key)) for key in keys - {file}), S3PutObject(file, path=str(self.source))])

    def get(self) -> None:
        key = self.key()
        found = self.s3.get(key, return_missing=True)
        assert not found.exists or found.view == content_of(key)

    def get_many(self) -> None:
        keys = [self.key() for _ in range(8)]
        for key, found in zip(keys, self.s3.get_many(keys, return_missing=True), strict=True):
            assert not found.exists or found.view == content_of(key)

    def get_range(self) -> None:
        key = self.key()
        size = len(content_of(key))
        if size:
            first = self.chance.randrange(size)
            found = self.s3.get(S3GetObject(key, first, 500 * KIB), return_missing=True)
            assert not found.exists or found.view == content_of(key)[first : first + 500 * KIB]

    def get_file(self) -> None:
        key = self.key()
        path = self.s3.get(key, return_missing=True).path
        if path is not None:
            assert Path(path).read_bytes() == content_of(key)
            Path(path).unlink()

    def walk_away(self) -> None:
        """Takes one result of several and leaves."""
        wanted = [self.client.get(BUCKET, f"{self.prefix}/{self.key()}") for _ in range(6)]
        with contextlib.closing(self.client.run(wanted)) as jobs:
            next(jobs)

    def list_all(self) -> None:
        for found in self.s3.list_recursive():
            assert found.size == len(content_of(found.key))

    def delete(self) -> None:
        self.client.run_one(DeleteJob(BUCKET, f"{self.prefix}/{self.key()}"))


async def tasks_work(s3: AsyncS3, seed: int, until: float) -> int:
    """Tasks that put and get, and are cancelled now and then, at any moment."""
    chance = random.Random(seed)
    done = 0
    while time.monotonic() < until:
        key = f"async/key-{chance.randrange(KEYS)}"
        verb = s3.put(key, content_of(key)) if chance.random() < 0.4 else s3.get(key, return_missing=True)
        task: asyncio.Task[Any] = asyncio.ensure_future(verb)
        if chance.random() < 0.3:
            await asyncio.sleep(chance.random() * 0.02)
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError, S3Error):
            found = await task
            assert isinstance(found, str) or not found.exists or found.view == content_of(key)
        done += 1
    return done


def weather(seed: int) -> Iterator[Fault]:
    """Other faults each time; what is read by ranges is not corrupted, for nothing could tell."""
    chance = random.Random(seed)
    anywhere = range(4 * MIB)
    yield Reset(probability=chance.random() * 0.05, seed=seed)
    yield Reset(at=anywhere, probability=chance.random() * 0.1, seed=seed)
    yield Reset(at=anywhere, direction="request", probability=chance.random() * 0.1, seed=seed)
    yield Fin(at=anywhere, probability=chance.random() * 0.1, seed=seed)
    yield Latency(0.02, jitter=0.02, probability=chance.random() * 0.3, seed=seed)
    yield answers.slow_down(probability=0.2, seed=seed, times=chance.randrange(3))
    yield answers.internal_error(probability=chance.random() * 0.05, seed=seed)
    yield SwallowReply(probability=chance.random() * 0.05, seed=seed)
    for operation in ("PutObject", "UploadPart"):
        yield Corrupt(at=range(1000), operation=operation, direction="request", probability=0.05, seed=seed)


def change_the_weather(proxy: FaultProxy, until: float) -> None:
    seed = 0
    while time.monotonic() < until:
        proxy.clear()
        proxy.add(*weather(seed))
        seed += 1
        time.sleep(min(WEATHER_SECONDS, max(0.0, until - time.monotonic())))
    proxy.clear()


# ---- gauges ----


class Gauges:
    """What must be as it was when nothing is under way."""

    def __init__(self, clients: list[Client]) -> None:
        self._clients = clients
        self._pool = process.buffer_pool(clients[0].settings)
        self._threads = threading.active_count()
        self._descriptors = self._count_descriptors()

    @staticmethod
    def _count_descriptors() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    def check(self) -> None:
        gc.collect()
        state = self._pool.state()
        assert (state["in_use_bytes"], state["in_use_regions"]) == (0, 0)
        for client in self._clients:
            assert process.plane(client.remote.plane, client.settings).in_flight == 0
            for up in (False, True):
                for large in (False, True):
                    assert client.remote.concurrency.of(up=up, large=large).in_flight == 0
        deadline = time.monotonic() + PATIENCE  # idle connections end by themselves, with their threads of the proxy
        while self._count_descriptors() > self._descriptors or threading.active_count() > self._threads:
            assert time.monotonic() < deadline, (
                f"{self._descriptors} descriptors became {self._count_descriptors()}, "
                f"{self._threads} threads {threading.active_count()}"
            )
            time.sleep(0.1)

    def resident(self) -> int:
        """Bytes of memory, once what is free has been given back: also by malloc, whose arenas the threads share."""
        self._pool.trim()
        with contextlib.suppress(AttributeError, OSError):  # glibc's only
            ctypes.CDLL(None).malloc_trim(0)
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


# ---- the soak ----


def one_round(workers: list[Worker], tasks: AsyncS3, proxy: FaultProxy, seed: int) -> int:
    """Returns how many verbs were done."""
    until = time.monotonic() + SECONDS / ROUNDS
    failures: list[BaseException] = []
    done = 0

    def guarded(work: Callable[[], None]) -> None:
        try:
            while time.monotonic() < until and not failures:
                work()
        except BaseException as error:
            failures.append(error)

    def in_a_loop() -> None:
        async def main() -> int:
            return sum(await asyncio.gather(*(tasks_work(tasks, seed * TASKS + i, until) for i in range(TASKS))))

        nonlocal done
        done += asyncio.run(main())

    works = [*(worker.turn for worker in workers), in_a_loop, lambda: change_the_weather(proxy, until)]
    threads = [threading.Thread(target=guarded, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    proxy.clear()
    if failures:
        raise failures[0]
    return done


def test_after_mixed_work_every_gauge_stands_where_it_stood(tmp_path: Path) -> None:
    results = tmp_path / "results"
    results.mkdir()
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(null.start(buckets=[BUCKET]))
        proxy = stack.enter_context(FaultProxy(server.url))
        good, bad = client_of(server, **SETTINGS), client_of(replace(server, url=proxy.url), **SETTINGS)
        workers = []
        for i in range(2 * THREADS):
            client, prefix = ((good, "good"), (bad, "bad"))[i % 2]
            s3 = stack.enter_context(s3_of(client, BUCKET, results, prefix))
            workers.append(Worker(s3, client, prefix, i, tmp_path))
        for client in (good, bad):
            client.run_one(client.put(BUCKET, "warm", b"warm"))
        gauges = Gauges([good, bad])
        tasks = AsyncS3(str(results), s3root=f"s3://{BUCKET}/tasks", client=good)
        resident = []
        for number in range(ROUNDS):
            loops = one_round(workers, tasks, proxy, number)
            gauges.check()
            assert good.run_one(ListUploadsJob(BUCKET, "good/")).uploads == []
            left = good.run_one(ListUploadsJob(BUCKET)).uploads  # of a Create whose reply was lost nobody has heard
            good.run_all([AbortJob(BUCKET, upload.key, upload.upload_id) for upload in left])
            resident.append(gauges.resident())
            print(
                f"round {number + 1}: {sum(worker.done for worker in workers) + loops:,} verbs, "
                f"{sum(worker.failed for worker in workers):,} failed by faults, {len(left)} uploads swept, "
                f"{resident[-1] / MIB:,.0f} MiB resident"
            )
        assert resident[-1] - resident[WARM] < GROWTH_MAX
        assert not any(worker.failed for worker in workers if worker.prefix == "good")
        asyncio.run(tasks.close())
        for worker in workers:
            worker.s3.close()
        assert list(results.iterdir()) == []
