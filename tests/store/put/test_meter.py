"""How fast a link is, found out by the puts that use it."""

from __future__ import annotations

import random

import pytest

from fastdatastore.store.backends.local import LocalBackend
from fastdatastore.store.put.meter import Meter
from fastdatastore.store.put.rates import UNKNOWN, Rates, rates_of

MIB = 1 << 20
GBPS = 1e9 / 8


class Clock:
    """Stands still until it is set."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


# ---- of all puts ----


def test_puts_to_one_back_end_share_what_they_have_measured() -> None:
    one, other = LocalBackend("/one"), LocalBackend("/one")
    rates_of(one).sent(1e6)
    assert rates_of(one).measured == 1e6
    assert rates_of(other).measured == UNKNOWN


def test_what_was_measured_is_forgotten_in_time() -> None:
    clock = Clock()
    rates = Rates(clock)
    assert "link: unknown" in repr(rates)
    rates.sent(100e6)
    rates.sent(200e6)
    assert rates.measured == rates.link(MIB) == 150e6
    assert "link: 150 MB/s" in repr(rates)
    clock.now = 61.0
    assert rates.measured == rates.link(MIB) == UNKNOWN
    rates.sent(300e6)
    assert rates.measured == 300e6


def test_what_a_link_does_with_little_it_may_do_with_more_in_proportion() -> None:
    clock = Clock()
    rates = Rates(clock)
    rates.at_most(100e6, 64 * MIB)
    assert rates.measured == UNKNOWN
    assert rates.link(16 * MIB) == rates.link(64 * MIB) == 100e6
    assert rates.link(128 * MIB) == 200e6
    assert rates.link(512 * MIB) == rates.link(10_000 * MIB) == 800e6
    rates.at_most(90e6, 8 * MIB)  # says less
    assert rates.link(512 * MIB) == 800e6
    rates.sent(500e6)
    assert rates.link(16 * MIB) == 500e6
    rates.at_most(100e6, 64 * MIB)
    assert rates.link(16 * MIB) == 100e6  # it has become slower
    clock.now = 11.0
    assert rates.link(16 * MIB) == 500e6


# ---- of one ----


class Link:
    """Takes `slots` objects at once, each at its share of `rate`; and asks for the next at once."""

    def __init__(self, rate: float, slots: int) -> None:
        self.clock = Clock()
        self.rates = Rates(self.clock)
        self._meter = Meter(self.rates, self.clock)
        self._rate = rate
        self._slots = slots

    def send(self, sizes: list[int]) -> list[float]:
        """What is believed after each of them."""
        believed: list[float] = []
        waiting = list(reversed(sizes))
        under_way: list[tuple[float, int]] = []  # bytes left, size
        while waiting or under_way:
            while waiting and len(under_way) < self._slots:
                size = waiting.pop()
                self._meter.drew(size)
                under_way.append((float(size), size))
            left, size = min(under_way)
            self.clock.now += left * len(under_way) / self._rate
            under_way.remove((left, size))
            under_way = [(more - left, other) for more, other in under_way]
            self._meter.ended(size)
            believed.append(self._meter.link)
        return believed


@pytest.mark.parametrize("slots", [1, 4, 64])
@pytest.mark.parametrize("gbps", [0.1, 1, 10, 100])
def test_the_rate_of_a_link_is_found(gbps: float, slots: int) -> None:
    rng = random.Random(slots)
    link = Link(gbps * GBPS, slots)
    believed = link.send([rng.randrange(6 * MIB, 10 * MIB) for _ in range(600)])
    assert min(believed) > 0.8 * gbps * GBPS
    assert believed[-1] == pytest.approx(gbps * GBPS, rel=0.25)
    assert link.rates.measured == pytest.approx(gbps * GBPS, rel=0.25)


def test_what_is_known_early_is_never_too_little() -> None:
    clock = Clock()
    meter = Meter(Rates(clock), clock)
    assert meter.link == UNKNOWN
    for _ in range(8):
        meter.drew(8 * MIB)
    clock.now = 0.5
    assert meter.link == 128 * MIB  # all of it would have been sent
    clock.now = 1.0
    assert meter.link == 64 * MIB


def test_more_goes_as_the_first_bytes_end() -> None:
    clock = Clock()
    meter = Meter(Rates(clock), clock)
    meter.waiting = 480 * MIB
    for drawn in range(32):
        assert not meter.is_fed, drawn
        meter.drew(8 * MIB)
    assert meter.is_fed
    clock.now = 0.1
    meter.ended(8 * MIB)
    assert not meter.is_fed
    meter.drew(8 * MIB)
    assert not meter.is_fed
    meter.drew(8 * MIB)
    assert meter.is_fed
    meter.rates.sent(1e9)
    assert not meter.is_fed  # there is nothing to be found out


def test_a_back_end_that_had_to_wait_says_little_about_its_link() -> None:
    clock = Clock()
    rates = Rates(clock)
    meter = Meter(rates, clock)
    for _ in range(100):
        meter.drew(8 * MIB)
        meter.ran_dry()
        clock.now += 0.1
        meter.ended(8 * MIB)
        meter.ran_dry()
    assert rates.measured == meter.link == UNKNOWN


def test_the_end_of_a_put_tells_the_next_one() -> None:
    clock = Clock()
    rates = Rates(clock)
    meter = Meter(rates, clock)
    for _ in range(12):
        meter.drew(8 * MIB)
    for _ in range(12):
        clock.now += 0.1
        meter.ended(8 * MIB)
        meter.ran_dry()
        clock.now += 0.001
    assert rates.measured == UNKNOWN
    assert rates.link(96 * MIB) == pytest.approx(80 * MIB, rel=0.35)
    assert rates.link(96 * MIB) >= 80 * MIB


def test_the_time_that_others_take_is_not_measured() -> None:
    clock = Clock()
    meter = Meter(Rates(clock), clock)
    for _ in range(8):
        meter.drew(8 * MIB)
    with meter.away():
        clock.now += 2.0
    assert meter.link == UNKNOWN
    clock.now += 0.1
    assert meter.link == pytest.approx(640 * MIB)


def test_many_small_objects_say_nothing_about_a_link() -> None:
    clock = Clock()
    rates = Rates(clock)
    meter = Meter(rates, clock)
    for _ in range(5000):
        for _ in range(60):
            meter.drew(64 << 10)
        clock.now += 0.01
        for _ in range(60):
            meter.ended(64 << 10)
        assert meter.link == UNKNOWN or rates.measured < UNKNOWN
        meter.ran_dry()
    assert meter.link == UNKNOWN


def test_a_back_end_that_is_fed_slowly_is_not_taken_for_a_slow_one() -> None:
    clock = Clock()
    rates = Rates(clock)
    meter = Meter(rates, clock)
    meter.drew(8 * MIB)
    for _ in range(50):
        clock.now += 0.08
        meter.drew(8 * MIB)
        meter.ran_dry()
        clock.now += 0.02
        meter.ended(8 * MIB)
        meter.ran_dry()
    clock.now += 0.1
    meter.ended(8 * MIB)
    meter.ran_dry()
    assert rates.link(512 * MIB) == meter.link == UNKNOWN


def test_a_meter_says_what_it_knows() -> None:
    meter = Meter(Rates())
    meter.drew(5)
    meter.waiting = 7
    assert repr(meter).startswith("<Meter [5 bytes on the way, 7 wait | <Rates")
