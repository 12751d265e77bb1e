"""Downloads of unknown size begin as the link and the memory have room for them."""

from __future__ import annotations

from fastdatastore.config import GIB, MIB
from fastdatastore.engine.appetite import FIRST_GUESS, Appetite
from fastdatastore.engine.job import Job


def begin(appetite: Appetite, most: int = 1000) -> list[Job]:
    """Begins as many jobs as are wanted."""
    begun: list[Job] = []
    while not appetite.is_sated and len(begun) < most:
        begun.append(Job("bucket"))
        appetite.on_begun(begun[-1])
    return begun


def tell(appetite: Appetite, job: Job, size: int) -> None:
    job.size = size
    appetite.on_size(job)


def test_few_begin_before_the_first_sizes_are_known() -> None:
    assert len(begin(Appetite(320 * MIB, 4 * GIB))) == 320 * MIB // FIRST_GUESS


def test_one_begins_however_little_there_is() -> None:
    assert len(begin(Appetite(1, 1))) == 1


def test_many_small_ones_are_begun() -> None:
    appetite = Appetite(320 * MIB, 4 * GIB)
    for job in begin(appetite):
        tell(appetite, job, 16 << 10)
        appetite.on_ended(job)
    assert len(begin(appetite)) == 1000


def test_of_large_ones_the_next_begins_when_the_sizes_of_all_before_are_known() -> None:
    appetite = Appetite(320 * MIB, 4 * GIB)
    first = begin(appetite)
    tell(appetite, first[0], GIB)
    assert begin(appetite) == []
    tell(appetite, first[1], GIB)
    assert len(begin(appetite)) == 1


def test_no_more_begin_than_memory_has_room_for() -> None:
    appetite = Appetite(320 * MIB, 3 * GIB)
    jobs = begin(appetite)
    for _ in range(5):
        for job in jobs:
            tell(appetite, job, GIB)
        jobs += begin(appetite)
    assert len(jobs) == 3
    appetite.on_ended(jobs[0])
    assert len(begin(appetite)) == 1


def test_repr_shows_the_state() -> None:
    assert repr(Appetite(1000, 4000)) == "<Appetite [0 of 1,000 bytes in the making, 4,000 at most]>"
