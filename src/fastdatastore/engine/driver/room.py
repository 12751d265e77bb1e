"""Memory for what is to come: requests and downloads wait for it below the process's ceiling."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastdatastore.engine.admission import Admission
from fastdatastore.engine.planes.local import local as _native
from fastdatastore.engine.request import Request

if TYPE_CHECKING:
    from fastdatastore._native import Report


class Room:
    """For one driver, one thread.

    Attributes:
        paused: Downloads that wait for memory to land in, or for the bandwidth cap.
        is_starved: Of memory, in this turn: no request can be made.
    """

    def __init__(self, queue: _native.Queue, admission: Admission) -> None:
        self.paused: dict[Request, Report] = {}
        self.is_starved = False
        self._queue = queue
        self._admission = admission

    def may_take(self, size: int, has_more: bool) -> bool:
        """Whether so many bytes may be taken of the pool: then it has to be told when they are (spent).

        Args:
            has_more: Requests are to be sent, that will let go of memory in the end.
        """
        on_the_way = has_more or len(self._queue) > len(self.paused)
        self.is_starved = self.is_starved or not self._admission.grants(size, not on_the_way)
        return not self.is_starved

    def spent(self, size: int) -> None:
        self._admission.spent(size)
