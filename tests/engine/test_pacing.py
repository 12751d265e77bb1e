from __future__ import annotations

from itertools import repeat

import pytest

from fastdatastore.engine.concurrency import DOWN, Controller
from fastdatastore.engine.pacing import BURST_SECONDS, Pacer, TokenBucket
from tests.support.link_simulator import Link, Simulator

MIB = 1 << 20
GBIT = 1e9 / 8


@pytest.mark.parametrize(
    ("gbps", "size"), [(0.1, 64 << 10), (0.1, 8 * MIB), (1.0, 64 << 10), (1.0, 8 * MIB), (5.0, MIB), (5.0, 8 * MIB)]
)
def test_a_transfer_keeps_to_the_cap_within_three_percent(gbps: float, size: int) -> None:
    controller = Controller(DOWN, 256, minimum=256, maximum=256)
    run = Simulator(Link(10 * GBIT, 90e6, jitter=0.1), controller, repeat(size), pacer=Pacer(gbps, 0.0)).run(20.0)
    # Whole requests only: from one landing to another.
    landed = [(when, nbytes) for when, nbytes in run.done if when >= 3.0]
    seconds = landed[-1][0] - landed[0][0]
    assert sum(nbytes for _, nbytes in landed[1:]) / seconds == pytest.approx(gbps * GBIT, rel=0.03)


def test_without_a_cap_nothing_waits() -> None:
    pacer = Pacer(None, 0.0)
    pacer.spend(0.0, 1 << 40)
    assert pacer.wait(0.0) == 0.0
    assert repr(pacer) == "<Pacer no cap>"


def test_a_part_larger_than_any_burst_passes_and_is_paid_afterwards() -> None:
    pacer = Pacer(1.0, 0.0)
    assert pacer.wait(0.0) == 0.0
    pacer.spend(0.0, int(GBIT))
    assert pacer.wait(0.25) == pytest.approx(0.75)
    assert pacer.wait(1.0) == 0.0
    assert repr(pacer) == "<Pacer 1 Gbit/s>"


def test_time_not_used_is_not_saved_up() -> None:
    bucket = TokenBucket(100.0, 0.0)
    assert bucket.room(60.0) == 100 * BURST_SECONDS + 1
    sent = 0
    while bucket.wait(60.0) == 0.0:
        bucket.spend(60.0, 1)
        sent += 1
    assert sent == 100 * BURST_SECONDS + 1


def test_there_is_no_room_while_something_is_owed() -> None:
    bucket = TokenBucket(100.0, 0.0)
    bucket.spend(0.0, 50)
    assert bucket.room(0.1) == 0
    assert bucket.room(0.5) == 1


def test_a_new_rate_holds_for_what_is_owed() -> None:
    bucket = TokenBucket(100.0, 0.0)
    bucket.spend(0.0, 100)
    assert bucket.wait(0.0) == pytest.approx(1.0)
    bucket.set_rate(0.0, 50.0)
    assert bucket.wait(0.0) == pytest.approx(2.0)
    assert repr(bucket) == "<TokenBucket 50.0/s>"
