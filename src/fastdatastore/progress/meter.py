"""Counts what a call moves, and tells somebody about ten times a second."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from fastdatastore.engine.job import Job
from fastdatastore.progress.line import UPDATE_SECONDS


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a call is.

    Attributes:
        bytes: Moved so far. Until the end what had to be moved twice may count twice.
        objects: That have ended.
        seconds: Since the call began.
        total_bytes, total_objects: Of the whole call; None as long as they are not known.
    """

    bytes: int
    objects: int
    seconds: float
    total_bytes: int | None
    total_objects: int | None

    @property
    def rate(self) -> float:
        """Bytes per second since the call began."""
        return self.bytes / self.seconds if self.seconds else 0.0

    @property
    def share(self) -> float | None:
        """From 0 to 1: of the bytes, or of the objects while the bytes are not known; None when neither is."""
        if self.total_bytes:
            return self.bytes / self.total_bytes
        return self.objects / self.total_objects if self.total_objects else None


class Listener(Protocol):
    """Who is told."""

    def show(self, progress: Progress) -> None:
        """May raise: then the call ends with that exception."""

    def close(self, ok: bool) -> None:
        """The call has ended, well or by an exception."""


class Meter:
    """For one call, in its thread."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._began = self._told = time.monotonic()
        self._under_way: set[Job] = set()
        self._bytes = 0  # of the jobs that have ended
        self._bytes_before = 0  # of these, in the steps before
        self._objects = 0
        self._total_objects: int | None = None
        self._all_begun = False

    def watched(self, jobs: Iterable[Job], total: int | None) -> Iterator[Job]:
        """The jobs of one step; `total`: how many objects the call moves in all, if that is known."""
        self._total_objects = total
        self._all_begun = False
        self._bytes_before = self._bytes
        for job in jobs:
            self._under_way.add(job)
            yield job
        self._all_begun = True

    def ended(self, job: Job) -> None:
        self._under_way.discard(job)
        self._bytes += job.moved
        self._objects += 1

    def tick(self, moved: int) -> None:
        """Tells if it is time to. `moved`: by this step's attempts, parts on the way included."""
        now = time.monotonic()
        if now - self._told >= UPDATE_SECONDS:
            self._told = now
            self._tell(max(self._bytes, self._bytes_before + moved), now)

    def finish(self) -> None:
        """Tells the end."""
        self._tell(self._bytes, time.monotonic())

    def _tell(self, moved: int, now: float) -> None:
        total = None
        if self._all_begun and all(job.size for job in self._under_way):
            total = self._bytes + sum(job.size for job in self._under_way)
            moved = min(moved, total)
        self._listener.show(Progress(moved, self._objects, now - self._began, total, self._total_objects))
