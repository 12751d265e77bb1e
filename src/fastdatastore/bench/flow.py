"""Runs jobs, and tells meanwhile how far they are."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from typing import TypeVar, cast

from fastdatastore.engine.client import Client
from fastdatastore.engine.driver import Driver
from fastdatastore.engine.job import Job

J = TypeVar("J", bound=Job)


class Flow:
    """Jobs on their way through a client."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._driver: Driver | None = None  # of the present run
        self._ended_bytes = 0  # of the runs before

    def moved(self) -> int:
        """Bytes moved so far, those of parts on the way included; may be asked by any thread."""
        driver = self._driver
        return self._ended_bytes + (driver.moved if driver else 0)

    def run(self, jobs: Iterable[J]) -> list[J]:
        """Runs them all and returns them in the order in which they ended, failed ones with their `error`.

        When it is interrupted, what is on the way has been cancelled and cleaned up before the exception goes on.
        """
        driver = self._driver = Driver(self._client.remote)
        # Closed here and now: an exception's traceback would keep the generator, and what it has in flight, alive.
        running = driver.run(jobs)
        with closing(running):
            ended = cast("list[J]", list(running))
        self._driver = None  # what was sent twice is not counted from here on
        self._ended_bytes += sum(job.size for job in ended)
        return ended
