"""Fetching artifacts: every buffer as it was stored, in memory of its own, whatever the chunks look like."""

from __future__ import annotations

import ctypes
import gc
import random
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fastdatastore.config import MIB, Settings
from fastdatastore.engine import process
from fastdatastore.errors import ArtifactTooLarge
from fastdatastore.store.backends.base import Backend
from fastdatastore.store.backends.local import LocalBackend
from fastdatastore.store.backends.s3 import S3Backend
from fastdatastore.store.codec import stored
from fastdatastore.store.get import fetch, read_manifests
from fastdatastore.store.manifest_object import StoredManifest
from fastdatastore.testing.servers import RunningServer
from tests.store.formats import SPECS, Spec
from tests.support.artifacts import Compress, shuffled_zstd, store, zstd
from tests.support.clients import client_of

NOISE = random.Random(11).randbytes(20 * MIB)
NUMBERS = b"".join((n * n).to_bytes(8, "little") for n in range(1 << 17)) * 20  # 20 MiB that shrink
MEMORY = 256 * MIB


@pytest.fixture
def local(tmp_path: Path) -> LocalBackend:
    return LocalBackend(tmp_path / "store", durable=False)


def spec(data: bytes, align: int = 64, item: int = 1) -> Spec:
    return Spec(memoryview(data), align, item)


def found(backend: Backend, refs: Sequence[str]) -> list[tuple[str, StoredManifest]]:
    manifests = []
    for ref, manifest in read_manifests(backend, refs):
        assert isinstance(manifest, StoredManifest)
        manifests.append((ref, manifest))
    return manifests


def buffers(backend: Backend, ref: str, memory: int = MEMORY) -> list[memoryview]:
    """Of one artifact."""
    ((_, got),) = fetch(backend, found(backend, [ref]), memory=memory)
    assert not isinstance(got, Exception), got
    return got


def check(got: list[memoryview], specs: Sequence[Spec]) -> None:
    """They are what was stored, aligned, and to be written to without a change to each other."""
    assert [bytes(buffer) for buffer in got] == [bytes(each.view) for each in specs]
    for number, (buffer, each) in enumerate(zip(got, specs, strict=True)):
        assert not buffer.readonly
        if len(buffer):
            assert ctypes.addressof(ctypes.c_char.from_buffer(buffer)) % each.align == 0
            buffer[:] = bytes([number % 256]) * len(buffer)
    assert all(set(buffer) <= {number % 256} for number, buffer in enumerate(got))


# ---- what comes back ----


@pytest.mark.parametrize("compress", [stored, zstd, shuffled_zstd])
def test_large_and_small_buffers_come_back_from_every_server(
    s3_server: RunningServer, bucket: str, compress: Compress
) -> None:
    backend = S3Backend(client_of(s3_server), bucket, "a/store")
    specs = [
        spec(NUMBERS, item=8),
        spec(b"small"),
        spec(b""),
        spec(NOISE[: 3 * MIB], align=4096),
        spec(NUMBERS[:100_000]),
    ]
    check(buffers(backend, store(backend, specs, compress)), specs)


def test_what_lies_in_its_manifest_comes_back_from_every_server(s3_server: RunningServer, bucket: str) -> None:
    backend = S3Backend(client_of(s3_server), bucket)
    specs = [spec(NOISE[:1000]), spec(b""), spec(NOISE[:100_000], align=256)]
    check(buffers(backend, store(backend, specs)), specs)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    specs=st.lists(
        SPECS | st.builds(Spec, st.integers(1, 3000).map(lambda n: memoryview(NOISE)[n : MIB + 5 * n])), max_size=8
    ),
    compress=st.sampled_from([stored, zstd, shuffled_zstd]),
    inline=st.sampled_from([False, None]),
    memory=st.sampled_from([0, 3 * MIB, MEMORY]),
)
def test_buffers_of_any_layout_come_back(
    local: LocalBackend, specs: list[Spec], compress: Compress, inline: bool | None, memory: int
) -> None:
    check(buffers(local, store(local, specs, compress, inline=inline), memory), specs)


def test_many_small_buffers_come_back(local: LocalBackend) -> None:
    specs = [spec(NOISE[n : 3 * n], align=1 << n % 13) for n in range(3000)]
    check(buffers(local, store(local, specs)), specs)


def test_artifacts_come_back_one_by_one_while_others_are_on_the_way(local: LocalBackend) -> None:
    refs = [store(local, [spec(NOISE[n : 2 * MIB + n])]) for n in range(40)]
    drawn = 0

    def drawing() -> Iterator[tuple[str, StoredManifest]]:
        nonlocal drawn
        for each in found(local, refs):
            drawn += 1
            yield each

    seen = set()
    for taken, (ref, got) in enumerate(fetch(local, drawing(), memory=MEMORY), 1):
        assert not isinstance(got, Exception)
        assert bytes(got[0]) == NOISE[refs.index(ref) :][: 2 * MIB]
        assert drawn <= taken + 20
        seen.add(ref)
    assert seen == set(refs)


def test_small_artifacts_are_drawn_one_at_a_time(local: LocalBackend) -> None:
    manifests = iter(found(local, [store(local, [spec(str(n).encode())]) for n in range(20)]))
    with closing(fetch(local, manifests, memory=MEMORY)) as fetched:
        for _ in range(5):
            next(fetched)
    assert len(list(manifests)) == 15


# ---- chunks that occur twice ----


@pytest.mark.parametrize("compress", [stored, zstd])
def test_a_chunk_that_occurs_twice_is_read_once(local: LocalBackend, compress: Compress) -> None:
    specs = [spec(bytes(50 * MIB)), spec(NOISE), spec(bytes(32 * MIB)), spec(NOISE)]
    ref = store(local, specs, compress)
    reads = []

    class Counting(LocalBackend):
        def _begin_read(self, item):  # type: ignore[no-untyped-def]
            reads.append(item.name)
            return super()._begin_read(item)

    check(buffers(Counting(local.root), ref), specs)
    chunks = [name for name in reads if name.startswith("chunks/")]
    assert len(chunks) == len(set(chunks)) == len(list(local.list("chunks/")))


def test_one_artifact_twice_in_a_call_gives_two_copies(local: LocalBackend) -> None:
    specs = [spec(NOISE), spec(b"small")]
    ref = store(local, specs)
    small = store(local, [spec(b"inline")])
    got = list(fetch(local, found(local, [ref, ref, small, small]), memory=MEMORY))
    assert sorted(each for each, _ in got) == sorted([ref, ref, small, small])
    for each, views in got:
        assert not isinstance(views, Exception)
        check(views, specs if each == ref else [spec(b"inline")])  # and overwrites them


# ---- memory ----


def pool() -> dict[str, int]:
    gc.collect()
    return process.buffer_pool(Settings()).state()


@pytest.mark.parametrize("compress", [stored, zstd])
def test_the_second_artifact_lies_in_the_memory_of_the_first(local: LocalBackend, compress: Compress) -> None:
    ref = store(local, [spec(NUMBERS), spec(NOISE)], compress)
    used = pool()["in_use_regions"]
    first = buffers(local, ref)
    assert pool()["in_use_regions"] == used + 2
    last = first[0][5:10]
    del first
    assert pool()["in_use_regions"] == used + 1
    del last
    before = pool()
    assert before["in_use_regions"] == used
    buffers(local, ref)
    assert pool()["mapped"] == before["mapped"]


def test_buffers_that_are_held_do_not_count_as_in_flight(local: LocalBackend) -> None:
    ref = store(local, [spec(NUMBERS)], zstd)
    before = process.buffer_pool(Settings()).in_flight
    held = buffers(local, ref)
    assert process.buffer_pool(Settings()).in_flight == before
    assert len(held[0]) == len(NUMBERS)


def test_an_artifact_that_is_too_large_is_refused_before_any_of_it_is_read(local: LocalBackend) -> None:
    large, small = store(local, [spec(NOISE)]), store(local, [spec(b"small")])
    local.delete([entry.name for entry in local.list("chunks/")])
    got = dict(fetch(local, found(local, [large, small]), memory=MEMORY, max_bytes=len(NOISE) - 1))
    assert isinstance(got[large], ArtifactTooLarge)
    assert "20,971,520" in str(got[large])
    assert "20,971,519" in str(got[large])
    assert [bytes(view) for view in buffers(local, small)] == [b"small"]
    assert not isinstance(got[small], Exception)
