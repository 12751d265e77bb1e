"""How a verb runs: step by step, each a number of jobs, by whoever drives it.

A verb is a generator of steps. S3 runs the jobs of each step in the calling thread and AsyncS3 in its event loop; the
verb goes on when they have ended.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sized
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

from fastdatastore import errors
from fastdatastore.engine.job import Job

T = TypeVar("T")


def _nothing(ended: Job) -> None:
    """Makes nothing of a job: the verb has kept it."""


@dataclass(frozen=True)
class Step:
    """Jobs to run before a verb goes on; the first error stops them all.

    Attributes:
        jobs: Drawn as there is room, so that a generator need not hold them all.
        missing_ok: An object that is not there is no error.
        on_end: What is made of a job that has ended well (or whose object is missing, if that is no error).
        count: How many jobs a generator will make; None if only its end tells.
        moves: It moves the user's bytes, and progress shows it.
    """

    jobs: Iterable[Job]
    missing_ok: bool = False
    on_end: Callable[[Job], Any] = _nothing
    count: int | None = None
    moves: bool = True

    @property
    def total(self) -> int | None:
        """How many jobs there are, if that is known."""
        return len(self.jobs) if isinstance(self.jobs, Sized) else self.count

    def result(self, ended: Job) -> Any:
        """What was made of it. Raises what stops the verb."""
        if ended.error is not None and not (self.missing_ok and isinstance(ended.error, errors.NotFound)):
            # Of the traceback only the caller's part: frames of ours would keep buffers, which are to be let go of.
            raise ended.error.with_traceback(None)
        return self.on_end(ended)


Steps: TypeAlias = Generator[Step, None, T]
