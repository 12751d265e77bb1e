"""How a verb runs: step by step, each a number of jobs, by whoever drives it.

A verb is a generator of steps. S3 runs the jobs of each step in the calling thread and AsyncS3 in its event loop; the
verb goes on when they have ended.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

from fastdatastore import errors
from fastdatastore.engine.job import Job

T = TypeVar("T")


@dataclass(frozen=True)
class Step:
    """Jobs to run before a verb goes on; the first error stops them all.

    Attributes:
        missing_ok: An object that is not there is no error.
    """

    jobs: Iterable[Job]
    missing_ok: bool = False

    def check(self, ended: Job) -> None:
        """Raises what stops the verb."""
        if ended.error is not None and not (self.missing_ok and isinstance(ended.error, errors.NotFound)):
            raise ended.error


Steps: TypeAlias = Generator[Step, None, T]
