"""Who is too slow, and who is only one of many."""

from __future__ import annotations

import pytest

from fastdatastore.config import MIB
from fastdatastore.engine.head import HeadJob
from fastdatastore.engine.request import Request
from fastdatastore.engine.trickles import LEAST_RATE, SECOND_CHANCES, Trickles

WINDOW = 30.0


class Line:
    """A call's requests, each with a rate of its own in bytes a second; all begin at 0."""

    def __init__(self, *rates: float) -> None:
        job = HeadJob("bucket", "key")
        self.requests = [Request(job, "GetObject", "GET", "bucket", target=bytearray(MIB)) for _ in rates]
        self.trickles = Trickles(WINDOW, 0.0)
        self._rates = rates

    def given_up(self, moved_by_others: int = 0, looks: int = 4) -> list[int]:
        """The numbers of the requests that some look finds too slow."""
        found = set()
        for number in range(1, looks + 1):
            now = number * WINDOW
            progress = [(request, int(now * rate)) for request, rate in zip(self.requests, self._rates, strict=True)]
            moved = moved_by_others * number + sum(here for _, here in progress)
            found |= {self.requests.index(request) for request, _ in self.trickles.look(now, moved, progress)}
        return sorted(found)


def test_equals_share_a_slow_line() -> None:
    assert Line(*[1000.0] * 20).given_up() == []
    assert Line(9000, 6000, 3000, 2000).given_up() == []


def test_one_alone_has_a_least_rate() -> None:
    assert Line(LEAST_RATE + 1).given_up() == []
    assert Line(LEAST_RATE - 1).given_up() == [0]


def test_all_together_have_a_least_rate() -> None:
    assert Line(1000, 1000, 1000).given_up() == [0, 1, 2]


def test_one_among_faster_ones_is_found() -> None:
    assert Line(20_000, 20_000, 20_000, 1_500).given_up() == [3]
    assert Line(20_000, 20_000, 20_000, 2_000).given_up() == []


def test_one_that_is_left_over_is_compared_with_those_that_have_ended() -> None:
    line = Line(10_000)
    line.trickles.on_done(8 * MIB, 1.0)
    assert line.given_up() == [0]
    assert Line(10_000).given_up(moved_by_others=100 * MIB) == [0]


def test_many_that_have_become_slow_are_no_trickles() -> None:
    line = Line(*[10_000.0] * 3)
    line.trickles.on_done(8 * MIB, 1.0)
    assert line.given_up() == []


def test_the_first_look_only_remembers() -> None:
    assert Line(1).given_up(looks=1) == []
    assert Line(1).given_up(looks=2) == [0]


@pytest.mark.parametrize("rate", [0, MIB / WINDOW])
def test_what_waits_for_its_turn_or_its_answer_is_no_trickle(rate: float) -> None:
    assert Line(rate).given_up() == []


def test_a_new_attempt_is_not_held_against_the_old_one() -> None:
    line = Line(1)
    line.requests[0].sent_at = 45.0
    assert line.given_up(looks=2) == []
    assert line.given_up(looks=3) == [0]


def test_beside_others_there_are_so_many_second_chances() -> None:
    line = Line(20_000, 20_000, 20_000, 1_500)
    line.requests[3].trickled = SECOND_CHANCES
    assert line.given_up() == []


@pytest.mark.parametrize("how", ["forgotten", "cleared"])
def test_what_is_over_is_not_kept_until_the_next_look(how: str) -> None:
    line = Line(9000)
    line.given_up(looks=1)
    assert "1 requests" in repr(line.trickles)
    if how == "forgotten":
        line.trickles.forget(line.requests[0])
    else:
        line.trickles.clear()
    assert "0 requests" in repr(line.trickles)
