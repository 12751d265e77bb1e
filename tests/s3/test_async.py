"""AsyncS3: what S3 does, awaited; one event loop or several, cancelled at any moment."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import pickle
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from fastdatastore import S3, AsyncS3, S3GetObject
from fastdatastore.auth.credentials import Credentials
from fastdatastore.config import MIB
from fastdatastore.engine import process
from fastdatastore.engine.client import Client
from fastdatastore.engine.get import INLINE_MAX
from fastdatastore.errors import InvalidKey, NotFound
from fastdatastore.testing.servers import RunningServer
from tests.support.clients import FixedCredentials, client_at, client_of
from tests.support.patience import comes_true
from tests.support.scripted_server import Received, Reply, ScriptedServer, StoredObject

SIZES = (0, 1, INLINE_MAX, INLINE_MAX + 1, 8 * MIB + 1, 16 * MIB + 1, 50 * MIB + 3)
RANDOM = random.Random(11).randbytes(max(SIZES))
STARVED = 0.3  # seconds that nobody may keep the loop from others

T = TypeVar("T")


class WatchedLoop(asyncio.SelectorEventLoop):
    """Knows which readers are still there."""

    def __init__(self) -> None:
        self.readers: set[Any] = set()
        super().__init__()

    def add_reader(self, fd: Any, callback: Callable[..., Any], *args: Any) -> None:  # type: ignore[override]
        super().add_reader(fd, callback, *args)
        self.readers.add(fd)

    def remove_reader(self, fd: Any) -> bool:
        self.readers.discard(fd)
        return super().remove_reader(fd)


class UnwatchingLoop(asyncio.SelectorEventLoop):
    """Like Windows' default loop: it watches no descriptors for others."""

    def add_reader(self, fd: Any, callback: Callable[..., Any], *args: Any) -> None:  # type: ignore[override]
        raise NotImplementedError


class SlowCredentials(FixedCredentials):
    """Take their time when they are first asked for, as those of a service do."""

    def __init__(self, access_key: str, secret_key: str) -> None:
        super().__init__(access_key, secret_key)
        self._asked = False

    def snapshot(self) -> Credentials:
        if not self._asked:
            time.sleep(2 * STARVED)
        self._asked = True
        return super().snapshot()


def run(main: Coroutine[Any, Any, T], loop: Callable[[], asyncio.AbstractEventLoop] = WatchedLoop) -> T:
    """Runs it in a loop of its own; no reader may be left then."""
    with asyncio.Runner(loop_factory=loop) as runner:
        used = runner.get_loop()
        result = runner.run(main)
    assert not getattr(used, "readers", None)
    return result


@pytest.fixture
def s3(client: Client, bucket: str, tmp_path: Path) -> AsyncS3:
    """An AsyncS3 rooted at the fresh `bucket`; its files are made in tmp_path."""
    return AsyncS3(str(tmp_path), s3root=f"s3://{bucket}", client=client)


def memory_in_use(client: Client) -> int:
    """Bytes of recycled memory that someone holds."""
    gc.collect()
    return process.buffer_pool(client.settings).state()["in_use_bytes"]


def in_flight(client: Client) -> int:
    """Requests on the way, of the whole process."""
    return process.plane(client.remote.plane, client.settings).in_flight


async def until(condition: Callable[[], bool]) -> None:
    """Waits for it, in vain for ten seconds at most."""
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.001)


# ---- the verbs ----


@pytest.mark.parametrize("size", SIZES)
def test_what_is_put_comes_back(s3: AsyncS3, bucket: str, size: int) -> None:
    async def main() -> None:
        assert await s3.put("key", memoryview(RANDOM)[:size], metadata={"size": size}) == f"s3://{bucket}/key"
        got = await s3.get("key")
        assert (got.view, got.size, got.metadata) == (memoryview(RANDOM)[:size], size, {"size": size})
        assert (await s3.info("key")).size == size

    run(main())


def test_files_go_up_and_results_come_down_as_files_until_it_is_closed(
    s3_server: RunningServer, bucket: str, tmp_path: Path
) -> None:
    source, results = tmp_path / "source", tmp_path / "results"
    source.write_bytes(RANDOM)
    results.mkdir()

    async def main() -> None:
        client = client_of(s3_server, memory_ceiling=9 * MIB)
        async with AsyncS3(str(results), s3root=f"s3://{bucket}", client=client) as s3:
            with source.open("rb") as file:
                await s3.put("large", file)
            got = await s3.get("large")
            assert Path(got.path or "").read_bytes() == RANDOM
        assert list(results.iterdir()) == []

    run(main())


def test_many_come_back_in_the_order_asked_for_with_duplicates(s3: AsyncS3, bucket: str) -> None:
    async def main() -> None:
        stored = await s3.put_many([("b", "bb"), ("large", RANDOM[: 20 * MIB]), ("a", "a")])
        assert stored == [(key, f"s3://{bucket}/{key}") for key in ("b", "large", "a")]
        got = await s3.get_many(["a", "large", "b", "a", S3GetObject("large", 5, 7)])
        assert [o.size for o in got] == [1, 20 * MIB, 2, 1, 7]
        assert got[0] is got[3]
        assert (got[1].view, got[4].blob) == (memoryview(RANDOM)[: 20 * MIB], RANDOM[5:12])

    run(main())


def test_what_is_there_is_not_overwritten_unless_asked_for(s3: AsyncS3) -> None:
    async def main() -> None:
        await s3.put("a", "old")
        await s3.put("a", "new", overwrite=False)
        assert [key for key, _ in await s3.put_many([("a", "new"), ("b", "new")], overwrite=False)] == ["b"]
        assert [o.text for o in await s3.get_many(["a", "b"])] == ["old", "new"]

    run(main())


def test_listings(s3: AsyncS3) -> None:
    async def main() -> None:
        await s3.put_many([(key, key) for key in ("a/1", "a/deep/2", "top")])
        assert sorted((o.key, o.exists) for o in await s3.list_paths()) == [("a", False), ("top", True)]
        assert sorted(o.key for o in await s3.list_paths(["a"])) == ["1", "deep"]
        assert sorted(o.key for o in await s3.list_recursive(["a"])) == ["1", "deep/2"]

    run(main())


def test_what_is_missing_is_an_error_or_said(s3: AsyncS3, bucket: str) -> None:
    async def main() -> None:
        await s3.put("there", "there")
        with pytest.raises(NotFound, match=f"s3://{bucket}/missing"):
            await s3.get("missing")
        with pytest.raises(NotFound):
            await s3.get_many(["there", "missing"])
        with pytest.raises(NotFound):
            await s3.info("missing")
        assert not (await s3.info("missing", return_missing=True)).exists
        assert [o.exists for o in await s3.get_many(["missing", "there"], return_missing=True)] == [False, True]
        with pytest.raises(InvalidKey):
            await s3.get("s3://elsewhere/key")

    run(main())


def test_it_pickles_and_shows_itself(s3: AsyncS3, bucket: str) -> None:
    async def main() -> None:
        again = pickle.loads(pickle.dumps(s3))
        assert type(again) is AsyncS3
        assert repr(again) == repr(s3)
        assert repr(s3).startswith(f"<AsyncS3 s3://{bucket} at ")
        await again.put("key", "value")
        assert (await s3.get("key")).text == "value"

    run(main())


def test_what_it_needs_loads_only_when_it_is_used() -> None:
    program = (
        "import sys; from fastdatastore import S3; assert S3 and 'fastdatastore.engine.waiting' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


# ---- several at once ----


async def _longest_gap(done: asyncio.Event) -> float:
    longest, last = 0.0, time.monotonic()
    while not done.is_set():
        await asyncio.sleep(0.005)
        longest, last = max(longest, time.monotonic() - last), time.monotonic()
    return longest


def test_transfers_run_side_by_side_and_starve_nobody(s3: AsyncS3) -> None:
    async def main() -> None:
        await s3.put("there", RANDOM)
        done = asyncio.Event()
        gaps = asyncio.create_task(_longest_gap(done))
        got, *_ = await asyncio.gather(
            s3.get("there"),
            s3.put("large", RANDOM),
            s3.put_many([(f"small/{i}", RANDOM[i : i + 100]) for i in range(300)]),
        )
        small = await s3.get_many([f"small/{i}" for i in range(300)])
        done.set()
        assert await gaps < STARVED
        assert got.view == memoryview(RANDOM)
        assert [o.blob for o in small] == [RANDOM[i : i + 100] for i in range(300)]
        assert (await s3.get("large")).view == memoryview(RANDOM)

    run(main())


def test_credentials_that_take_their_time_starve_nobody(s3_server: RunningServer, bucket: str) -> None:
    async def main() -> None:
        credentials = SlowCredentials(s3_server.access_key, s3_server.secret_key)
        s3 = AsyncS3(s3root=f"s3://{bucket}", client=client_of(s3_server, credentials))
        done = asyncio.Event()
        gaps = asyncio.create_task(_longest_gap(done))
        await asyncio.gather(s3.put("a", "a"), s3.put("b", "b"))
        done.set()
        assert await gaps < STARVED

    run(main())


def test_many_tasks_at_once(s3: AsyncS3) -> None:
    async def there_and_back(i: int) -> bool:
        await s3.put(f"key/{i}", str(i) * 100)
        return (await s3.get(f"key/{i}")).text == str(i) * 100

    async def main() -> None:
        assert all(await asyncio.gather(*(there_and_back(i) for i in range(200))))

    run(main())


def test_one_client_serves_the_loops_of_several_threads(s3: AsyncS3) -> None:
    failures: list[BaseException] = []

    async def main(name: str) -> None:
        for i in range(3):
            value = memoryview(RANDOM)[i : i + 17 * MIB]
            await asyncio.gather(
                s3.put(f"{name}/{i}", value), *(s3.put(f"{name}/small/{j}", f"{name}{j}") for j in range(20))
            )
            assert (await s3.get(f"{name}/{i}")).view == value
            got = await s3.get_many([f"{name}/small/{j}" for j in range(20)])
            assert [o.text for o in got] == [f"{name}{j}" for j in range(20)]

    def work(name: str) -> None:
        try:
            run(main(name))
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(name,)) for name in ("one", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_it_works_in_a_loop_that_runs_already_as_a_notebooks(s3: AsyncS3, client: Client, bucket: str) -> None:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    async def cell() -> str | None:
        await s3.put("key", "value")
        with S3(s3root=f"s3://{bucket}", client=client) as blocking:  # this one takes the loop's thread
            return blocking.get("key").text

    try:
        assert asyncio.run_coroutine_threadsafe(cell(), loop).result(30) == "value"
        assert asyncio.run_coroutine_threadsafe(cell(), loop).result(30) == "value"
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def test_it_works_in_a_loop_that_watches_no_descriptors(s3: AsyncS3) -> None:
    async def main() -> None:
        await s3.put("key", RANDOM[: 20 * MIB])
        assert (await s3.get("key")).view == memoryview(RANDOM)[: 20 * MIB]

    run(main(), UnwatchingLoop)


# ---- cancelled ----


@pytest.fixture
def clean(client: Client) -> Iterator[None]:
    """Nothing is on the way at the end, and no memory is held that was not before."""
    before = memory_in_use(client)
    yield
    assert comes_true(lambda: in_flight(client) == 0)
    assert memory_in_use(client) <= before


@pytest.mark.usefixtures("clean")
def test_a_download_that_is_cancelled_at_any_moment_leaves_nothing_behind(s3: AsyncS3, client: Client) -> None:
    async def main() -> None:
        await s3.put("large", RANDOM)
        for milliseconds in (0, 1, 2, 4, 8, 16, 32):
            transfer = asyncio.create_task(s3.get_many(["large", S3GetObject("large", 1), S3GetObject("large", 2)]))
            await asyncio.sleep(milliseconds / 1000)
            transfer.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await transfer
            assert transfer.done()
            assert in_flight(client) == 0
            del transfer
        assert (await s3.get("large")).view == memoryview(RANDOM)

    run(main())


@pytest.mark.usefixtures("clean")
def test_an_upload_that_is_cancelled_at_any_moment_leaves_the_client_whole(s3: AsyncS3, client: Client) -> None:
    async def main() -> None:
        for milliseconds in (0, 1, 2, 4, 8, 16, 32):
            transfer = asyncio.create_task(s3.put("large", RANDOM))
            await asyncio.sleep(milliseconds / 1000)
            transfer.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await transfer
            assert comes_true(lambda: in_flight(client) == 0)
        await s3.put("large", RANDOM)
        assert (await s3.get("large")).view == memoryview(RANDOM)

    run(main())


@pytest.mark.fault(63)
@pytest.mark.usefixtures("clean")
def test_a_multipart_upload_that_is_cancelled_in_the_middle_is_aborted(
    s3: AsyncS3, client: Client, control: Any, bucket: str
) -> None:
    def uploads() -> Any:
        return control.list_multipart_uploads(Bucket=bucket).get("Uploads")

    async def main() -> None:
        for _ in range(10):
            transfer = asyncio.create_task(s3.put("large", bytes(128 * MIB)))
            while not transfer.done() and not await asyncio.to_thread(uploads):
                await asyncio.sleep(0)
            await asyncio.sleep(0.01)  # the client has heard of it too
            if transfer.cancel():
                break
            await transfer  # a very quick server
        else:
            pytest.fail("no upload lasted long enough to be cancelled")
        with pytest.raises(asyncio.CancelledError):
            await transfer
        assert comes_true(lambda: in_flight(client) == 0)

    run(main())
    assert comes_true(lambda: not uploads())


def test_the_first_failure_of_a_group_ends_the_others(s3: AsyncS3, client: Client) -> None:
    async def group() -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(s3.put("large", RANDOM))
            await until(lambda: in_flight(client) > 0)
            tasks.create_task(s3.get("missing"))

    async def main() -> None:
        with pytest.raises(ExceptionGroup) as caught:
            await group()
        assert [type(error) for error in caught.value.exceptions] == [NotFound]
        assert comes_true(lambda: in_flight(client) == 0)

    run(main())


class Slow:
    """Downloads and uploads that come to a stop half-way.

    Attributes:
        busy: One has. aborted: An upload has been; it takes a while.
    """

    def __init__(self) -> None:
        self.busy = threading.Event()
        self.aborted = threading.Event()
        self._stored = StoredObject(RANDOM)

    def __call__(self, received: Received) -> Reply:
        if received.method == "DELETE":
            time.sleep(0.1)
            self.aborted.set()
            return Reply(204)
        if received.method == "GET" and "uploadId" in received.query:
            return Reply(404)  # it is gone
        if "uploads" in received.query:
            return Reply(200, b"<R><UploadId>u1</UploadId></R>", {"x-amz-checksum-algorithm": "CRC64NVME"})
        self.busy.set()
        if received.method == "PUT":
            return Reply(hang=True)
        reply = self._stored.get(received)
        headers = "".join(f"{name}: {value}\r\n" for name, value in reply.headers.items())
        head = f"HTTP/1.1 {reply.status} Slow\r\ncontent-length: {len(reply.body)}\r\n{headers}\r\n"
        return Reply(raw=head.encode() + reply.body[: len(reply.body) // 2])


@pytest.fixture
def slow() -> Iterator[tuple[Slow, AsyncS3, Client]]:
    """A server that stops half-way, and clients of it."""
    script = Slow()
    with ScriptedServer(script) as server:
        client = client_at(server.url)
        before = memory_in_use(client)
        yield script, AsyncS3(s3root="s3://bucket", client=client), client
        assert comes_true(lambda: in_flight(client) == 0)
        assert memory_in_use(client) <= before


def test_a_timeout_ends_a_transfer_and_frees_its_memory(slow: tuple[Slow, AsyncS3, Client]) -> None:
    script, s3, client = slow

    async def main() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await s3.get("key")  # the server never answers: that this ends is all
        assert script.busy.is_set()
        assert comes_true(lambda: in_flight(client) == 0)

    run(main())


def test_an_upload_that_is_cancelled_again_and_again_is_still_aborted(slow: tuple[Slow, AsyncS3, Client]) -> None:
    script, s3, client = slow

    async def main() -> None:
        done = asyncio.Event()
        gaps = asyncio.create_task(_longest_gap(done))
        transfer = asyncio.create_task(s3.put("key", RANDOM))
        await until(script.busy.is_set)
        while not transfer.done():
            transfer.cancel()
            await asyncio.sleep(0.01)
        assert transfer.cancelled()
        assert script.aborted.is_set()
        assert comes_true(lambda: in_flight(client) == 0)
        done.set()
        assert await gaps < STARVED  # others go on while it is aborted

    run(main())


def test_the_end_of_a_loop_ends_its_transfers(slow: tuple[Slow, AsyncS3, Client]) -> None:
    script, s3, _ = slow
    transfers: list[asyncio.Task[Any]] = []

    async def main() -> None:
        transfers.append(asyncio.create_task(s3.put("key", RANDOM)))
        transfers.append(asyncio.create_task(s3.get("key")))
        await until(script.busy.is_set)

    run(main())
    assert [transfer.cancelled() for transfer in transfers] == [True, True]
    assert script.aborted.is_set()
