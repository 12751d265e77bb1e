"""Removes what a benchmark made in somebody else's bucket."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from fastdatastore.bench.flow import Flow
from fastdatastore.bench.target import Target
from fastdatastore.engine.delete import DeleteJob
from fastdatastore.engine.listing import ListJob


class _TimeUp(Exception):
    """The time that was given is over."""


# A server may store an object some time after we hung up on it: it had the whole body by then.
SETTLING_SECONDS = 0.25
# So often in a row nothing is to be found there before it is believed.
QUIET_LOOKS = 3


def remove(target: Target, keys: set[str], unsettled: set[str], seconds: float) -> int:
    """Deletes these keys of the target's bucket; what cannot be deleted in time is left.

    Args:
        unsettled: Of the keys, those that the server may only be about to store: they are deleted once more, and
            believed to be gone when nothing has come for a while.
        seconds: How long it may take.

    Returns:
        How many keys may still be there.
    """
    left = set(keys)
    with suppress(_TimeUp), _time_limit(seconds):
        _delete(target, keys, left)
        if unsettled:
            left |= unsettled
            time.sleep(SETTLING_SECONDS)
            _delete(target, unsettled, set())
        looks = (QUIET_LOOKS if unsettled else 1) if keys else 0
        while looks:
            looks -= 1
            if found := _listed(target):
                left |= found
                _delete(target, found, left)
                if found <= left:  # not one of them can be deleted
                    return len(left)
                looks = QUIET_LOOKS if unsettled else 1
            if looks:
                time.sleep(SETTLING_SECONDS)
        left -= unsettled
    return len(left)


def _delete(target: Target, keys: set[str], left: set[str]) -> None:
    """Takes from `left` what is known to be deleted, also when it is stopped half-way."""
    jobs = [DeleteJob(target.bucket, key) for key in sorted(keys)]
    try:
        Flow(target.client).run(jobs)
    finally:
        left.difference_update(job.key for job in jobs if job.done)


def _listed(target: Target) -> set[str]:
    """What the server says is there under our prefix; nothing where listing is not allowed."""
    job = ListJob(target.bucket, target.prefix, recursive=True)
    Flow(target.client).run([job])
    return {entry.key for entry in job.entries if entry.key.startswith(target.prefix)}


@contextmanager
def _time_limit(seconds: float) -> Iterator[None]:
    """Raises _TimeUp inside when the time is over; the engine's waits answer signals. Only in the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def ring(_number: int, _frame: FrameType | None) -> None:
        raise _TimeUp

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
