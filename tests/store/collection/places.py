"""What the tests of the collection share: clocks, a register brought to a phase, objects made older."""

from __future__ import annotations

import os
from collections.abc import Callable

from fastdatastore.store.backends.base import Backend
from fastdatastore.store.backends.local import LocalBackend
from fastdatastore.store.collection import names, state
from fastdatastore.store.collection.names import Names
from fastdatastore.store.collection.state import Phase, Seen


class Hands:
    """A clock that tests set; sleeping moves it on.

    Args:
        meanwhile: Called at each sleep.
    """

    def __init__(self) -> None:
        self.time = 1000.0
        self.slept = 0.0
        self.meanwhile: Callable[[], object] = lambda: None

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += seconds
        self.slept += seconds
        self.meanwhile()


def change(backend: Backend, phase: Phase, *condemned: str, settling: tuple[str, ...] = ()) -> Seen:
    """Brings the register to a phase, with these names on its list."""
    seen = state.read(backend)
    list_id = names.store_list(backend, Names.of(map(names.key_of, condemned))) if condemned else seen.state.list
    made = state.change(backend, seen, seen.state.to(phase, "" if phase is Phase.IDLE else list_id, settling=settling))
    assert made is not None
    return made


def age_by(backend: LocalBackend, name: str, seconds: float) -> None:
    """Makes an object older, as the file system sees it; by a second more, because its clock ticks coarsely."""
    seconds += 1
    path = backend.root / name
    found = path.stat()
    os.utime(path, (found.st_atime - seconds, found.st_mtime - seconds))


def pardoned(backend: Backend, list_id: str) -> set[str]:
    """The names that are."""
    return {names.name_of(key) for key in names.read_pardons(backend, list_id)}
