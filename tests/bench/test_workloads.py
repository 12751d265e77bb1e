"""Workloads: rounds that fit into memory, keys under the prefix, contents that differ."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fastdatastore import _native
from fastdatastore.bench.source import PERIOD, Source
from fastdatastore.bench.workloads import MAIN_JOB, ROUND_BYTES, Workload


@given(st.integers(1, 3000), st.integers(1, 4 << 30))
def test_rounds_hold_every_object_once_and_no_more_than_fits(count: int, object_size: int) -> None:
    workload = Workload(count, object_size)
    numbers = [number for round_ in workload.rounds for number in round_]
    assert numbers == list(range(count))
    assert all(len(round_) == 1 or len(round_) * object_size <= ROUND_BYTES for round_ in workload.rounds)
    assert workload.most_at_once <= max(ROUND_BYTES, object_size)


def test_keys_are_under_the_prefix_differ_and_end_in_their_size() -> None:
    keys = [workload.key("mine/", number) for workload in MAIN_JOB for number in range(workload.count)]
    assert len(set(keys)) == len(keys)
    assert all(key.startswith("mine/") for key in keys)
    assert keys[0].endswith(".536870912")


def test_a_workload_has_a_name_for_people_and_one_for_programs() -> None:
    assert str(Workload(1000, 16 << 10)) == "1,000 \N{MULTIPLICATION SIGN} 16 KiB"
    assert Workload(1000, 16 << 10).name == "1000x16KiB"


def test_contents_are_the_same_in_every_run_and_differ_between_objects() -> None:
    workload = Workload(200, 16 << 10)
    once, again = (Source(_native.BufferPool(0), workload) for _ in range(2))
    crcs = [once.crc(number) for number in range(workload.count)]
    assert crcs == [again.crc(number) for number in range(workload.count)]
    assert len(set(crcs)) == workload.count
    assert {len(once.content(number)) for number in range(workload.count)} == {16 << 10}


def test_parts_of_one_object_differ() -> None:
    content = Source(_native.BufferPool(0), Workload(1, 64 << 20)).content(0)
    step = 1 << 20
    parts = {_native.crc(_native.CRC64NVME, content[at : at + step]) for at in range(0, len(content), step)}
    assert len(parts) == 64
    assert len(content) > PERIOD


def test_the_memory_of_a_source_goes_back_to_the_pool() -> None:
    pool = _native.BufferPool(1 << 30)
    source = Source(pool, Workload(1, 1 << 20))
    assert pool.state()["in_use_regions"] == 1
    del source
    assert pool.state()["in_use_regions"] == 0
