"""The protocol with one of its parts taken out, to see that the model finds what that part is for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pytest

from fastdatastore.store import deletions
from fastdatastore.store.cancel import Cancel
from fastdatastore.store.collection import names, run
from fastdatastore.store.collection.lease import Hold, Lease, Look
from fastdatastore.store.collection.names import Names
from fastdatastore.store.collection.survey import Survey
from tests.store.collection import model


def no_pardon(patch: pytest.MonkeyPatch) -> None:
    """Writers do not care for the list."""
    patch.setattr(Lease, "listed", lambda self, look, keys: [])


def no_pardons_read(patch: pytest.MonkeyPatch) -> None:
    """The sweep does not."""
    patch.setattr(names, "read_pardons", lambda backend, list_id: set())


def no_look_after_the_pardon(patch: pytest.MonkeyPatch) -> None:
    """A sweep may have begun before it was there."""

    def pardon(self: Lease, look: Look, keys: Iterable[bytes]) -> Look:
        wanted = Names.of(keys)
        names.store_pardon(self._backend, look.seen.state.list, wanted)
        self._pardoned = (look.seen.state.list, {*wanted, *self._pardoned[1]})
        return look

    patch.setattr(Lease, "pardon", pardon)


def no_confirm(patch: pytest.MonkeyPatch) -> None:
    """Writers never look again."""
    patch.setattr(Hold, "confirm", lambda self: None)


def no_second_mark(patch: pytest.MonkeyPatch) -> None:
    """What was condemned is deleted, whoever holds it since."""

    def all_of_them(self: Survey, condemned: Names) -> Iterator[tuple[str, int]]:
        return ((key[1:].hex(), 0) for key in condemned if not names.is_artifact(key))

    patch.setattr(Survey, "doomed_chunks", all_of_them)


def no_grace(patch: pytest.MonkeyPatch) -> None:
    """What is condemned is deleted by the next run."""
    patch.setattr(model, "LEAST_GRACE", 0.0)
    patch.setattr("fastdatastore.store.collection.gc.LEAST_GRACE", 0.0)


def no_waiting_for_the_sweep(patch: pytest.MonkeyPatch) -> None:
    """Writers rely on what is being deleted."""
    make_way = Hold._make_way

    def hurry(self: Hold, look: Look, keys: list[bytes]) -> Look | None:
        return None if look.phase == "sweeping" else make_way(self, look, keys)

    patch.setattr(Hold, "_make_way", hurry)


def no_settling(patch: pytest.MonkeyPatch) -> None:
    """As if no delete landed late."""

    def has_settled(self: Lease, cancel: Cancel) -> bool:
        return True

    patch.setattr(Lease, "has_settled", has_settled)


def no_patience(patch: pytest.MonkeyPatch) -> None:
    """A sweep is taken for dead at once."""
    patch.setattr(run, "STALE", 60.0)
    patch.setattr("fastdatastore.store.collection.lease.STALE", 60.0)


def no_announcement(patch: pytest.MonkeyPatch) -> None:
    """Deletes and tags do not see each other."""
    patch.setattr(deletions, "is_being_deleted", lambda backend, digest: False)


COMMON = [
    no_pardon,
    no_pardons_read,
    no_confirm,
    no_second_mark,
    no_grace,
    no_waiting_for_the_sweep,
    no_patience,
]
# Each closes a gap of some steps only: of ten thousand schedules a few go through it.
RARE = [no_look_after_the_pardon, no_settling, no_announcement]
