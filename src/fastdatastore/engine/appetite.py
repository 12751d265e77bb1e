"""How many jobs to begin whose first answer decides what else they ask for: enough to fill the link, not many more.

A download's size is only known from its reply. Until the first ones have told, few are begun; then the sizes seen so
far are the guess for those on the way: their results must not fill the memory. An upload of many parts must have its id
before it sends them; each of those that are begun would be left behind if we were killed.
"""

from __future__ import annotations

from fastdatastore.config import MIB
from fastdatastore.engine.job import Job

FIRST_GUESS = 128 * MIB
# How fast the guess follows: the weight of the newest size.
NEWEST = 0.1


class Appetite:
    """For one driver, which asks when all that was begun has nothing more to ask for.

    Large objects follow one another without a gap: while the last parts of one arrive the next may begin, up to the
    memory that is there. But only one, until its size is known: what else it might ask for comes first.

    Args:
        enough: Bytes of results in the making that keep the link busy; within them any number may begin.
        most: Bytes that memory has room for. One job is always allowed.
    """

    def __init__(self, enough: int, most: int) -> None:
        self._enough = enough
        self._most = most
        self._guess = float(FIRST_GUESS)
        self._known = False
        self._bytes: dict[Job, float] = {}
        self._unknown: set[Job] = set()
        self._sum = 0.0

    def __repr__(self) -> str:
        return f"<Appetite [{self._sum:,.0f} of {self._enough:,} bytes in the making, {self._most:,} at most]>"

    @property
    def is_sated(self) -> bool:
        return bool(self._bytes) and self._sum + self._guess > (self._enough if self._unknown else self._most)

    def on_begun(self, job: Job, size: int | None = None) -> None:
        """It waits for its first answer. `size`: of what it will ask for then; None: unknown."""
        self._bytes[job] = self._guess if size is None else size
        self._unknown.add(job)
        self._sum += self._bytes[job]

    def on_size(self, job: Job) -> None:
        """The download's `size` is known now."""
        self._guess += (job.size - self._guess) * (NEWEST if self._known else 1.0)
        self._known = True
        self._unknown.discard(job)
        if job in self._bytes:
            self._sum += job.size - self._bytes[job]
            self._bytes[job] = job.size

    def on_ended(self, job: Job) -> None:
        """Nothing that it asks for is unknown any more, and no memory that it takes to be counted."""
        self._unknown.discard(job)
        self._sum -= self._bytes.pop(job, 0.0)
