"""Tickets: memory of ours is asked for before a transfer takes it, below one ceiling for the whole process.

Below the ceiling are, together: results (ceiling.py), regions of the pool that are in flight, and free ones that it
keeps for the next. A transfer is let in while there is room. A result is the caller's and never waited for, so results
leave some of the ceiling to those on the way.

The pool itself is the account. A ticket stands only for the moment until the region has been taken: from then on the
region counts, until its last view is gone or it is handed over to the caller. So nothing is given back by hand, and
nothing can be lost by an error, a cancel or an interrupt.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from fastdatastore import forks
from fastdatastore.config import MIB

if TYPE_CHECKING:
    from fastdatastore.engine.ceiling import ResultMemory
    from fastdatastore.engine.planes.local import local as _native

# A driver with nothing on the way is let in beyond the ceiling when nobody has been let in for so long. What is in the
# way then may never end by itself: a generator that its caller has left in the middle, on this very thread.
GRACE_SECONDS = 0.5


def reserve(ceiling: int) -> int:
    """Bytes of the ceiling that results leave to what is on the way."""
    return min(ceiling // 4, 256 * MIB)


class Tickets:
    """What may be taken of the pool, over all drivers, threads and clients of a process. Thread-safe.

    In a forked child one is made anew, as the pool is.
    """

    def __init__(self, pool: _native.BufferPool, results: ResultMemory) -> None:
        self.pool = pool
        self.results = results
        self._lock = forks.lock()
        self._given = 0
        self._let_in_at = 0.0

    def __repr__(self) -> str:
        free = self.pool.state()["free_bytes"]
        return f"<Tickets [{self.in_flight:,} bytes in flight, {self.results.held:,} of results, {free:,} free]>"

    @property
    def in_flight(self) -> int:
        """Bytes that are taken or have a ticket, results that are counted as such aside."""
        return self.pool.in_flight + self._given

    def take(self, size: int, ceiling: int, idle: bool) -> bool:
        """Whether `size` bytes may be taken of the pool now; if so, spent(size) is to follow when that is done.

        Args:
            idle: The driver has nothing on the way. The last quarter of the room is for such ones, so that one driver
                with many requests does not keep the others waiting.
        """
        now = time.monotonic()
        with self._lock:
            room = max(ceiling - self.results.held, reserve(ceiling))
            taken = self.in_flight
            if taken + size > (room if idle else room - room // 4) and not (
                idle and (not taken or now - self._let_in_at > GRACE_SECONDS)
            ):
                return False
            self._given += size
            self._let_in_at = now
        return True

    def spent(self, size: int) -> None:
        """The memory that a ticket stood for has been taken, or will not be."""
        with self._lock:
            self._given -= size

    def trim(self, ceiling: int) -> None:
        """Makes room for what has been taken: the free list gets what results and transfers leave of the ceiling."""
        self.pool.trim(max(0, ceiling - self.results.held - self.in_flight))
