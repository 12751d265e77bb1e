"""A bucket's throttle state; its rate against a throttling server is in test_concurrency.py."""

from __future__ import annotations

import pytest

from fastdatastore.engine.throttle import CREEP_BASE, CUT, FORGET, FREEZE_SECONDS, PLATEAU, Throttle


def accept(throttle: Throttle, since: float, until: float, rate: float) -> float:
    """Sends and gets accepted `rate` requests a second, or what is let through; returns when it ended."""
    now = since
    while now < until:
        if throttle.wait(now) == 0.0:
            throttle.on_sent(now)
            throttle.on_done(now)
        now += 1 / rate
    return now


def throttled(rate: float = 100.0) -> tuple[Throttle, float]:
    """One that was just cut at `rate`, and the time."""
    throttle = Throttle()
    now = accept(throttle, 10.0, 12.25, rate)
    assert throttle.on_throttled(now, sent_at=now - 0.03)
    return throttle, now


def test_holds_nothing_back_before_the_first_503() -> None:
    throttle = Throttle()
    accept(throttle, 0.0, 1.0, 10_000)
    assert throttle.rate is None
    assert throttle.wait(1.0) == 0.0
    assert throttle.room(1.0) is None
    assert repr(throttle) == "<Throttle unlimited>"


def test_a_503_cuts_below_what_was_accepted() -> None:
    throttle, _ = throttled(100.0)
    assert throttle.rate == pytest.approx(CUT * 100, rel=0.05)
    assert "requests/s" in repr(throttle)


@pytest.mark.fault(39)
def test_one_burst_cuts_once() -> None:
    throttle, now = throttled()
    rate = throttle.rate
    for _ in range(50):
        assert not throttle.on_throttled(now + 0.02, sent_at=now - 0.01)
    assert throttle.rate == rate


def test_a_503_to_what_was_sent_after_the_cut_cuts_again() -> None:
    throttle, now = throttled()
    rate = throttle.rate
    assert rate is not None
    assert throttle.on_throttled(now + 0.05, sent_at=now + 0.01)
    assert throttle.rate is not None
    assert throttle.rate < rate


def test_the_rate_stands_still_then_recovers_then_creeps_beyond_the_ceiling() -> None:
    throttle, now = throttled(100.0)
    cut = throttle.rate
    accept(throttle, now, now + FREEZE_SECONDS - 0.05, 200)
    assert throttle.rate == cut
    accept(throttle, now + FREEZE_SECONDS, now + FREEZE_SECONDS + 1.5, 200)
    assert throttle.rate == pytest.approx(PLATEAU * 100, rel=0.05)
    accept(throttle, now + FREEZE_SECONDS + 1.5, now + 8, 400)
    assert throttle.rate is None or throttle.rate > 100


def test_a_server_that_recovers_is_unlimited_again() -> None:
    throttle, now = throttled(100.0)
    accept(throttle, now, now + 30, 100 * FORGET)
    assert throttle.rate is None


def test_503_to_the_very_first_requests_does_not_stop_everything() -> None:
    throttle = Throttle()
    throttle.on_sent(100.0, 20)
    throttle.on_throttled(100.03, sent_at=100.0)
    assert throttle.rate is not None
    assert throttle.rate >= CREEP_BASE


def test_a_rate_cut_to_nothing_comes_back() -> None:
    throttle, now = throttled(100.0)
    for _ in range(60):
        now += 0.1
        throttle.on_throttled(now, sent_at=now - 0.01)
    assert throttle.rate is not None
    assert throttle.rate < 5
    accept(throttle, now, now + 30, 100)
    assert throttle.rate is None or throttle.rate > 50


def test_an_idle_bucket_is_not_taken_for_a_slow_one() -> None:
    throttle = Throttle()
    accept(throttle, 0.0, 1.0, 100)
    now = accept(throttle, 100.0, 100.3, 100)
    throttle.on_throttled(now, sent_at=now - 0.01)
    assert throttle.rate is not None
    assert throttle.rate > 50


def test_batches_keep_to_the_rate() -> None:
    throttle, now = throttled(1000.0)
    rate, sent = throttle.rate, 0
    assert rate is not None
    for step in range(90):  # of 10 ms, while the rate stands still
        room = throttle.room(now + step / 100)
        assert room is not None
        if room:
            throttle.on_sent(now + step / 100, room)
            sent += room
    assert sent == pytest.approx(rate * 0.9, rel=0.03)
