"""AsyncArtifactStore: the same verbs, awaited; cancelled ones leave nothing going on."""

from __future__ import annotations

import asyncio
import gc
import inspect
import pickle
import random
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from fastdatastore import ArtifactStore, AsyncArtifactStore, errors
from fastdatastore.testing.servers import RunningServer, null
from tests.store.stores import Open, in_bucket, in_directory

MIB = 1 << 20
RANDOM = random.Random(37).randbytes(24 * MIB)
NOWHERE = "b3:" + "0" * 64


def run(opened: Open, work: Callable[[AsyncArtifactStore], Awaitable[None]]) -> None:
    """In an event loop of its own, which must not hear of errors; nothing may go on afterwards."""
    heard: list[object] = []

    async def inner() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: heard.append(context))
        async with opened(AsyncArtifactStore) as store:
            await work(store)
            assert "calls under way: 0" in repr(store)
        gc.collect()

    asyncio.run(inner())
    assert heard == []


class AsyncStores:
    """What any store does; subclasses give the fixture `opened`."""

    def test_all_verbs_are_awaited(self, opened: Open) -> None:
        async def work(store: AsyncArtifactStore) -> None:
            ref = await store.put(RANDOM)
            assert await store.get(ref) == RANDOM
            prepared = await store.prepare({"a": 1})
            assert await store.commit(prepared) == prepared.ref
            refs = await store.put_many([1, 2, 3])
            assert await store.get_many([*refs, prepared.ref]) == [1, 2, 3, {"a": 1}]
            await store.tag("name", ref, expected=None)
            assert await store.resolve("name") == ref
            assert await store.tags() == {"name": ref}
            assert (await store.stat(ref)).size == len(RANDOM)
            assert {entry.ref async for entry in store.list()} == {ref, prepared.ref, *refs}
            assert [finding.ref async for finding in store.verify([ref, NOWHERE])] == [NOWHERE]
            with pytest.raises(errors.ArtifactTagged):
                await store.delete(ref)
            await store.delete_tag("name")
            await store.delete(ref)
            with pytest.raises(errors.ArtifactNotFound):
                await store.get(ref)
            assert (await store.gc(dry_run=True)).dry_run

        run(opened, work)

    def test_many_go_on_at_once(self, opened: Open) -> None:
        async def work(store: AsyncArtifactStore) -> None:
            refs = await asyncio.gather(*(store.put({"n": n}) for n in range(40)))
            assert await asyncio.gather(*(store.get(ref) for ref in refs)) == [{"n": n} for n in range(40)]

        run(opened, work)

    def test_it_pickles_as_configuration(self, opened: Open) -> None:
        ref = opened().put([1, 2])
        copy = pickle.loads(pickle.dumps(opened(AsyncArtifactStore)))
        assert isinstance(copy, AsyncArtifactStore)
        assert asyncio.run(copy.get(ref)) == [1, 2]

    def test_a_listing_that_is_left_early_is_closed(self, opened: Open) -> None:
        opened().put_many(range(50))

        async def work(store: AsyncArtifactStore) -> None:
            async with aclosing(store.list()) as entries:
                async for _ in entries:
                    break

        run(opened, work)


class TestInADirectory(AsyncStores):
    @pytest.fixture
    def opened(self, tmp_path: Path) -> Open:
        return in_directory(tmp_path)


@pytest.mark.servers("null", "seaweedfs")
class TestInABucket(AsyncStores):
    @pytest.fixture
    def opened(self, s3_server: RunningServer, bucket: str) -> Open:
        return in_bucket(s3_server, bucket)


def test_the_verbs_are_those_of_the_other_face() -> None:
    def verbs(face: type) -> dict[str, Any]:
        public = {name: each for name, each in vars(face).items() if not name.startswith("_")}
        return {name: [*inspect.signature(each).parameters.values()] for name, each in public.items()}

    assert verbs(AsyncArtifactStore) == verbs(ArtifactStore)


def test_errors_come_out_and_a_closed_store_says_so(tmp_path: Path) -> None:
    async def work() -> None:
        store = in_directory(tmp_path)(AsyncArtifactStore)
        with pytest.raises(errors.StoreNotFound):
            await store.get(NOWHERE)
        with pytest.raises(errors.InvalidRef):
            await store.get("x")
        with pytest.raises(TypeError):
            await store.commit(b"x")
        await store.close()
        with pytest.raises(errors.ConfigurationError, match="closed"):
            await store.put(1)

    asyncio.run(work())


# ---- cancelling ----


@pytest.fixture
def slow(tmp_path: Path) -> Iterator[Open]:
    """A store on a server that takes and gives 10 MB a second."""
    with null.start(buckets=["slow"], link_gbps=0.08) as server:
        yield in_bucket(server, "slow")


async def under_way(store: AsyncArtifactStore) -> None:
    while "calls under way: 1" not in repr(store):
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.2)


VERBS: dict[str, Callable[[AsyncArtifactStore, str], Awaitable[object]]] = {
    "put": lambda store, ref: store.put(RANDOM[::-1]),
    "get": lambda store, ref: store.get(ref),
    "get_many": lambda store, ref: store.get_many([ref, ref]),
}


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_that_is_cancelled_leaves_nothing_going_on(slow: Open, verb: str) -> None:
    ref = slow().put(RANDOM)
    before = threading.active_count()

    async def work(store: AsyncArtifactStore) -> None:
        task = asyncio.ensure_future(VERBS[verb](store, ref))
        await under_way(store)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert "calls under way: 0" in repr(store)
        assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("fastdatastore-store")]
        assert await store.get(await store.put({"after": 1})) == {"after": 1}

    run(slow, work)
    assert threading.active_count() <= before + 1


def test_a_verify_that_is_cancelled_leaves_nothing_going_on(slow: Open) -> None:
    slow().put(RANDOM)

    async def work(store: AsyncArtifactStore) -> None:
        async def all_findings() -> None:
            async for _ in store.verify():
                pass

        task = asyncio.ensure_future(all_findings())
        await under_way(store)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert "calls under way: 0" in repr(store)

    run(slow, work)


def test_what_waits_for_a_thread_is_cancelled_at_once(tmp_path: Path) -> None:
    async def work() -> None:
        release = threading.Event()
        loop = asyncio.get_running_loop()
        busy = [loop.run_in_executor(None, release.wait) for _ in range(64)]
        store = in_directory(tmp_path)(AsyncArtifactStore)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await store.put(1)
        release.set()
        await asyncio.gather(*busy)
        assert "not looked at yet" in repr(store)

    asyncio.run(work())
