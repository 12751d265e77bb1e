"""Whether a chunk is compressed: only where that is measured to be faster, whatever the link."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastdatastore.errors import ConfigurationError
from fastdatastore.store.compression import Sample, Sampling, best_level, check, sample

MIB = 1 << 20
GBPS = 1e9 / 8
NOISE = memoryview(random.Random(5).randbytes(8 * MIB))
NUMBERS = memoryview(b"".join((n * 977).to_bytes(8, "little") for n in range(MIB)))


# ---- samples ----


def test_noise_does_not_shrink_and_numbers_do_when_shuffled() -> None:
    assert sample(NOISE, 8).ratio > 0.99
    found = sample(NUMBERS, 8)
    assert found.shuffled
    assert found.ratio < 0.4
    assert not sample(NUMBERS, 1).shuffled


def test_a_sample_says_how_the_whole_shrinks() -> None:
    mixed = memoryview(b"".join(NOISE[n * 4096 : n * 4096 + 2048].tobytes() + bytes(2048) for n in range(1000)))
    assert sample(mixed, 1).ratio == pytest.approx(0.5, abs=0.05)


@given(st.binary(min_size=1, max_size=500), st.integers(1, 70_000))
@settings(deadline=None)
def test_anything_can_be_sampled(raw: bytes, item: int) -> None:
    assert 0 < sample(memoryview(raw), item).ratio <= 1
    assert 0 < sample(memoryview(raw * 1000), item).ratio <= 1


def test_a_sample_holds_for_a_while_and_learns_from_whole_chunks() -> None:
    sampling = Sampling()
    first = sampling.of(NOISE, 8)
    assert sampling.of(NUMBERS, 8) is first
    for _ in range(20):
        last = sampling.of(NUMBERS, 8)
    assert last.shuffled


# ---- the choice ----


def rate_of(level: int | None, ratio: float, rate: float, link: float, threads: float) -> float:
    """Bytes a second that get to the other end: the slower of compressing and sending."""
    if level is None:
        return link
    speed, size = {1: (1.0, 1.0), 3: (0.5, 0.95)}[level]
    return min(threads * rate * speed, link / (ratio * size))


@given(
    ratio=st.floats(0.01, 1.0),
    rate=st.floats(50e6, 2e9),
    link=st.floats(1e6, 12e9),
    threads=st.integers(1, 64),
    errors=st.tuples(*[st.floats(0.96, 1.04)] * 3),
)
@settings(max_examples=1000)
def test_what_is_chosen_is_never_slower_than_raw_by_more_than_a_twentieth(
    ratio: float, rate: float, link: float, threads: int, errors: tuple[float, float, float]
) -> None:
    """Even if all that was measured is wrong by a twenty-fifth, and sending takes a core-second for 2.5 GB."""
    measured = Sample(min(1.0, ratio * errors[0]), rate * errors[1], False)
    level = best_level(measured, link * errors[2], threads)
    cores = max(0.5, threads - 0.4e-9 * link)
    assert rate_of(level, ratio, rate, link, cores) >= 0.95 * link


@pytest.mark.parametrize(
    ("gbps", "ratio", "threads", "level"),
    [
        (0.1, 0.5, 2, 3),  # a slow link: time for the better level
        (1, 0.5, 2, 3),
        (2.5, 0.5, 2, 1),
        (10, 0.5, 2, None),  # faster than two threads compress
        (10, 0.5, 8, 1),
        (25, 0.5, 8, None),
        (25, 0.5, 64, 3),
        (0.1, 0.9, 2, None),  # not worth it
    ],
)
def test_the_level_follows_the_link_and_the_cores(gbps: float, ratio: float, threads: int, level: int | None) -> None:
    assert best_level(Sample(ratio, 400e6, False), gbps * GBPS, threads) == level


def test_threads_that_wait_for_a_core_count_less() -> None:
    numbers = Sample(0.5, 400e6, False)
    assert best_level(numbers, 2.5 * GBPS, 2, compressing=1.0) == 1
    assert best_level(numbers, 2.5 * GBPS, 2, compressing=0.3) is None


# ---- settings ----


def test_what_is_no_setting_is_refused() -> None:
    assert [check(setting) for setting in ("auto", "none", -7, 22)] == ["auto", "none", -7, 22]
    for wrong in ("zstd", 23, -8, True, None, 3.0):
        with pytest.raises(ConfigurationError, match="compression is 'auto', 'none' or a level"):
            check(wrong)
