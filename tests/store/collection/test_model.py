"""No interleaving of puts, tags, deletes and runs of the collection loses anything: schedules by chance, and the proof
that they would find it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import pytest

from tests.store.collection import mutations
from tests.store.collection.model import Loss, play

Mutation = Callable[[pytest.MonkeyPatch], None]


@pytest.mark.parametrize("first", range(0, 1000, 100))
def test_no_schedule_loses_anything(first: int) -> None:
    for seed in range(first, first + 100):
        with told(seed):
            play(seed)


@pytest.mark.long
@pytest.mark.parametrize("first", range(1000, 101_000, 10_000))
def test_no_schedule_of_very_many_loses_anything(first: int) -> None:
    for seed in range(first, first + 10_000):
        with told(seed):
            play(seed)


@pytest.mark.parametrize("mutation", mutations.COMMON)
def test_it_would_find_a_part_that_is_missing(mutation: Mutation, monkeypatch: pytest.MonkeyPatch) -> None:
    mutation(monkeypatch)
    with pytest.raises(Loss):
        play_all(3000)


@pytest.mark.long
@pytest.mark.parametrize("mutation", mutations.RARE)
def test_it_would_find_a_part_that_is_seldom_needed(mutation: Mutation, monkeypatch: pytest.MonkeyPatch) -> None:
    mutation(monkeypatch)
    with pytest.raises(Loss):
        play_all(60_000)


def play_all(count: int) -> None:
    for seed in range(count):
        play(seed)


@contextlib.contextmanager
def told(seed: int) -> Iterator[None]:
    """An error names the schedule."""
    try:
        yield
    except Exception as error:
        error.add_note(f"the schedule: play({seed})")
        raise
