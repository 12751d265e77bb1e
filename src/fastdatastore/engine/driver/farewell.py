"""The end of a run that is broken off: what is on the way is cancelled, uploads are aborted, memory is let go."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, cast

from fastdatastore.engine import retry
from fastdatastore.engine.driver.agenda import Agenda
from fastdatastore.engine.job import Job
from fastdatastore.engine.planes.local import local as _native
from fastdatastore.engine.request import Request
from fastdatastore.engine.uploads import left_behind

if TYPE_CHECKING:
    from fastdatastore._native import Report

# Aborts are waited for at least so long, also when the time is up.
LEAST_SECONDS = 0.3

_log = logging.getLogger("fastdatastore")


def call_off(queue: _native.Queue, agenda: Agenda, deadline: float) -> list[Job]:
    """Cancels what is on the way, until `deadline` (time.monotonic()) at the latest.

    Returns:
        The jobs that are to tidy up at the server.
    """
    for request in [request for job in agenda.started for request in job.in_flight]:
        if request.operation != "CreateMultipartUpload":  # its reply names what is to be aborted: worth a wait
            queue.cancel(request)
    while len(queue):
        left = deadline - time.monotonic()
        if left <= 0:
            queue.cancel()
        for report in queue.take(left if left > 0 else 1.0):
            _hear_out(report)
    return [tidying for job in agenda.stopped() if (tidying := job.cleanup()) is not None]


def _hear_out(report: Report) -> None:
    """An answer that came before the cancel may name an upload, which is to be aborted then."""
    request = cast(Request, report.tag)
    job = request.job
    if report.paused or job.error or job.done or retry.judge(request, report).kind is not retry.Kind.ANSWER:
        return
    # Whatever it raises, a sink's or source's own exceptions too: the one that ends the run is on its way already.
    with contextlib.suppress(Exception):
        job.on_answer(request, report)


def tidy_up(run: Callable[[], Iterable[Job]], deadline: float) -> None:
    """Runs the jobs that tidy up, with all that belongs to it: further attempts, and a look whether it has helped.

    What has not ended by `deadline` goes on in the background: a server may be slower than the caller has patience.
    What fails there, or is cut off by the end of the process, is for fds sweep.
    """

    def work() -> None:
        # The process may end meanwhile: then the data plane is closed, and there is nothing to be told.
        with contextlib.suppress(Exception):
            for job in run():
                if job.error is not None:
                    _log.warning("%s", left_behind(job))

    thread = threading.Thread(target=work, name="fastdatastore-aborts", daemon=True)
    thread.start()
    thread.join(max(LEAST_SECONDS, deadline - time.monotonic()))


def let_go(job: Job) -> None:
    """A job and its requests keep each other: none of them may keep memory."""
    for request in job.in_flight:
        request.target = request.body = None
    job.in_flight.clear()
    job.release()
