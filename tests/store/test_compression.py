"""Whether a chunk is compressed: only where that is measured to be faster, whatever the link."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastdatastore.errors import ConfigurationError
from fastdatastore.store.backends.local import LocalBackend
from fastdatastore.store.compression import Compression, Rates, Sample, Sampling, best_level, check, rates_of, sample
from fastdatastore.store.frame import Codec
from fastdatastore.store.put.meter import Meter

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


# ---- what is done ----


def test_a_fast_link_gets_all_raw_and_a_slow_one_little() -> None:
    for rate, codec in ((100e9, Codec.RAW), (1e6, Codec.SHUFFLED_ZSTD)):
        rates = Rates()
        rates.sent(rate)
        frame, _ = Compression("auto", rates, 2).encode(NUMBERS, 8, Sampling())
        assert frame.codec is codec


def test_on_an_unknown_link_all_goes_raw() -> None:
    assert Compression("auto", Rates(), 2).encode(NUMBERS, 8, Sampling())[0].codec is Codec.RAW


def test_a_level_or_none_leave_no_choice() -> None:
    rates = Rates()
    rates.sent(100e9)
    assert Compression(3, rates, 2).encode(NUMBERS, 8, Sampling())[0].codec is Codec.SHUFFLED_ZSTD
    assert Compression(3, rates, 2).encode(NOISE, 8, Sampling())[0].codec is Codec.RAW
    rates = Rates()
    rates.sent(1e6)
    assert Compression("none", rates, 2).encode(NUMBERS, 8, Sampling())[0].codec is Codec.RAW


def test_what_is_no_setting_is_refused() -> None:
    assert [check(setting) for setting in ("auto", "none", -7, 22)] == ["auto", "none", -7, 22]
    for wrong in ("zstd", 23, -8, True, None, 3.0):
        with pytest.raises(ConfigurationError, match="compression is 'auto', 'none' or a level"):
            check(wrong)


def test_puts_to_one_back_end_share_what_they_have_measured(tmp_path: object) -> None:
    one, other = LocalBackend("/one"), LocalBackend("/one")
    rates_of(one).sent(1e6)
    assert rates_of(one).link == 1e6
    assert rates_of(other).link is None


def test_what_was_measured_is_forgotten_in_time() -> None:
    now = 0.0
    rates = Rates(lambda: now)
    rates.sent(100e6)
    rates.sent(200e6)
    rates.guessed(1e9)
    assert rates.link == 150e6
    now = 61.0
    assert rates.link is None
    assert "link: unknown" in repr(rates)
    rates.guessed(1e9)
    assert rates.link == 1e9
    rates.sent(300e6)
    assert rates.link == 300e6


# ---- the link ----


class Link:
    """Takes `slots` objects at once, each at its share of `rate`, after `latency`; and asks for the next at once."""

    def __init__(self, rate: float, slots: int, latency: float = 0.0) -> None:
        self.rates = Rates()
        self.now = 0.0
        self._meter = Meter(self.rates, lambda: self.now)
        self._rate = rate
        self._slots = slots
        self._latency = latency

    def send(self, sizes: list[int]) -> list[float]:
        """What is believed after each of them."""
        believed: list[float] = []
        waiting = list(reversed(sizes))
        under_way: list[tuple[float, int]] = []  # bytes left, size
        while waiting or under_way:
            while waiting and len(under_way) < self._slots:
                size = waiting.pop()
                self._meter.drew(size)
                under_way.append((size + self._latency * self._rate / self._slots, size))
            left, size = min(under_way)
            self.now += left * len(under_way) / self._rate
            under_way.remove((left, size))
            under_way = [(more - left, other) for more, other in under_way]
            self._meter.ended(size)
            if self.rates.link is not None:
                believed.append(self.rates.link)
        return believed


@pytest.mark.parametrize("slots", [1, 4, 64])
@pytest.mark.parametrize("gbps", [0.1, 1, 10, 100])
def test_the_rate_of_a_link_is_found(gbps: float, slots: int) -> None:
    rng = random.Random(slots)
    link = Link(gbps * GBPS, slots)
    believed = link.send([rng.randrange(6 * MIB, 10 * MIB) for _ in range(600)])
    assert min(believed) > 0.8 * gbps * GBPS
    assert believed[-1] == pytest.approx(gbps * GBPS, rel=0.25)


def test_a_back_end_that_had_to_wait_says_nothing_about_its_link() -> None:
    rates = Rates()
    now = 0.0
    meter = Meter(rates, lambda: now)
    for _ in range(100):
        meter.drew(8 * MIB)
        meter.ran_dry()
        now += 1.0
        meter.ended(8 * MIB)
    assert rates.link is None
