"""Whatever order memory is asked for, taken, handed over and let go in: what is in flight stays below the ceiling."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from fastdatastore.config import MIB
from fastdatastore.engine.ceiling import ResultMemory
from fastdatastore.engine.planes.local import local as _native
from fastdatastore.engine.tickets import Tickets, reserve

CEILING = 64 * MIB


def made() -> Tickets:
    return Tickets(_native.BufferPool(CEILING), ResultMemory())


STEPS = st.lists(st.tuples(st.sampled_from(["take", "let go", "hand over", "fail"]), st.integers(1, 8)), max_size=40)


@settings(deadline=None)
@given(steps=STEPS)
def test_what_is_taken_comes_back(steps: list[tuple[str, int]]) -> None:
    tickets = made()
    held: list[_native.Region] = []
    results: list[_native.Region] = []
    for what, number in steps:
        if what in ("take", "fail"):
            if tickets.take(number * 2 * MIB, CEILING, idle=False):
                if what == "take":
                    held.append(tickets.pool.take(number * 2 * MIB))
                tickets.spent(number * 2 * MIB)
        elif held:
            region = held.pop(number % len(held))
            if what == "hand over":
                tickets.pool.hand_over(region)
                results.append(region)
            del region
        wanted = sum(map(len, held))
        assert wanted <= tickets.in_flight <= wanted * 5 // 4  # a recycled region may be larger than was asked for
        assert tickets.in_flight + tickets.pool.state()["free_bytes"] <= CEILING
    held.clear()
    assert tickets.in_flight == 0
    results.clear()
    assert tickets.pool.state()["in_use_bytes"] == 0


def test_the_last_quarter_is_for_drivers_with_nothing_on_the_way() -> None:
    tickets = made()
    assert tickets.take(48 * MIB, CEILING, idle=False)
    assert not tickets.take(MIB, CEILING, idle=False)
    assert tickets.take(16 * MIB, CEILING, idle=True)
    assert not tickets.take(MIB, CEILING, idle=True)
    tickets.spent(64 * MIB)
    assert tickets.in_flight == 0


def test_one_is_let_in_however_much_it_wants() -> None:
    assert made().take(10 * CEILING, CEILING, idle=True)


def test_results_are_not_waited_for() -> None:
    tickets = made()
    share = tickets.results.take(CEILING, CEILING)
    assert tickets.take(reserve(CEILING), CEILING, idle=True)
    del share


def test_repr_shows_the_state() -> None:
    assert repr(made()) == "<Tickets [0 bytes in flight, 0 of results, 0 free]>"
