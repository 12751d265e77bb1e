"""Runs jobs, and tells meanwhile how far they are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing
from typing import TypeVar

from fastdatastore.engine.client import Client
from fastdatastore.engine.job import Job

J = TypeVar("J", bound=Job)


class Flow:
    """Jobs on their way through a client."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._under_way: set[Job] = set()
        self._ended_bytes = 0

    def moved(self) -> int:
        """Bytes moved so far; may be asked by any thread."""
        return self._ended_bytes + sum(job.moved for job in tuple(self._under_way))

    def run(self, jobs: Iterable[J]) -> list[J]:
        """Runs them all and returns them in the order in which they ended, failed ones with their `error`.

        When it is interrupted, what is on the way has been cancelled and cleaned up before the exception goes on.
        """
        # Closed here and now: an exception's traceback would keep the generator, and what it has in flight, alive.
        running = self._client.run(self._watched(jobs))
        ended = []
        with closing(running):
            for job in running:
                self._under_way.discard(job)
                self._ended_bytes += job.size
                ended.append(job)
        return ended

    def _watched(self, jobs: Iterable[J]) -> Iterator[J]:
        for job in jobs:
            self._under_way.add(job)
            yield job
