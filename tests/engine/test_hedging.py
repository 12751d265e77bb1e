from __future__ import annotations

import random
from math import inf

from fastdatastore.engine.hedging import BUDGET, MEDIANS, SAMPLES_MIN, Hedger

MIB = 1 << 20
PART = 8 * MIB


def taught(seconds: float = 0.4, count: int = 200) -> Hedger:
    hedger = Hedger()
    for _ in range(count):
        hedger.on_done(PART, seconds)
    return hedger


def test_nothing_is_hedged_while_too_little_is_known() -> None:
    hedger = taught(count=SAMPLES_MIN - 1)
    assert hedger.overdue(PART) == inf
    assert hedger.pick(1000.0, [("slow", 0.0, PART)]) is None


def test_a_part_that_is_far_slower_than_its_like_gets_a_second_attempt() -> None:
    hedger = taught(0.4)
    in_flight = [("usual", 9.7, PART), ("slow", 8.0, PART), ("slower", 7.0, PART)]
    assert hedger.pick(10.0, in_flight) == "slower"
    assert hedger.hedged == PART


def test_parts_just_above_the_quantile_do_not() -> None:
    hedger = taught(0.4)
    assert hedger.overdue(PART) == MEDIANS * 0.4
    assert hedger.pick(10.0, [("a bit late", 9.5, PART)]) is None


def test_where_many_are_slow_only_the_slowest_count() -> None:
    hedger = Hedger()
    for number in range(128):
        hedger.on_done(PART, 2.0 if number % 10 == 0 else 0.4)
    assert hedger.overdue(PART) == 2.0


def test_only_parts_of_like_size_are_compared() -> None:
    hedger = taught(0.4)
    assert hedger.pick(10.0, [("larger", 0.0, 4 * PART)]) is None
    for _ in range(32):
        hedger.on_done(4 * PART, 1.6)
    assert hedger.overdue(PART) == MEDIANS * 0.4
    assert hedger.overdue(4 * PART) == MEDIANS * 1.6


def test_twenty_parts_must_be_up_before_one_is_sent_twice() -> None:
    hedger = taught(count=19)
    assert hedger.pick(100.0, [("slow", 0.0, PART)]) is None
    for _ in range(5):
        hedger.on_done(PART, 0.4)
    assert hedger.pick(100.0, [("slow", 0.0, PART)]) == "slow"
    assert hedger.pick(100.0, [("also slow", 0.0, PART)]) is None


def test_what_could_not_go_out_is_not_counted() -> None:
    hedger = taught(count=20)
    for _ in range(3):
        assert hedger.pick(100.0, [("slow", 0.0, PART)]) == "slow"
        hedger.on_withdrawn(PART)
    assert hedger.hedged == 0


def test_the_most_overdue_by_its_own_measure_is_picked() -> None:
    hedger = taught(count=24)
    for _ in range(24):
        hedger.on_done(PART // 8, 0.1)
    in_flight = [("large", 0.0, PART), ("small", 0.0, PART // 8)]
    assert hedger.pick(1.0, in_flight) == "small", "more overdue by its own measure"
    assert hedger.pick(1.0, in_flight[:1]) == "large"


def test_a_part_too_large_for_what_is_left_of_the_budget_lets_a_smaller_one_pass() -> None:
    hedger = taught(0.4, count=16)
    for _ in range(16):
        hedger.on_done(PART // 8, 0.1)
    assert hedger.pick(60.0, [("large", 0.0, PART), ("small", 59.0, PART // 8)]) == "small"


def test_never_more_than_five_percent_of_the_bytes_are_sent_twice() -> None:
    """However slow the store becomes: everything in flight is long overdue, at every moment."""
    chance = random.Random(7)
    hedger, uploaded = Hedger(), 0
    for _ in range(5_000):
        size = chance.choice((5 * MIB, PART, 2 * PART))
        hedger.on_done(size, 0.4)
        uploaded += size
        while hedger.pick(100.0, [("a", 0.0, PART), ("b", 1.0, 5 * MIB)]) is not None:
            assert hedger.hedged <= BUDGET * uploaded
    assert hedger.hedged > 0.95 * BUDGET * uploaded
    assert "sent twice" in repr(hedger)
