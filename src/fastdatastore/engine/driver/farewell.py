"""The end of a run that is broken off: what is on the way is cancelled, uploads are aborted, memory is let go."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, cast

from fastdatastore.engine import retry
from fastdatastore.engine.driver.agenda import Agenda
from fastdatastore.engine.driver.sending import Sender
from fastdatastore.engine.job import Job
from fastdatastore.engine.planes.local import local as _native
from fastdatastore.engine.request import Request
from fastdatastore.errors import FastDatastoreError

if TYPE_CHECKING:
    from fastdatastore._native import Report

# After Ctrl-C, or when the caller walks away: how long uploads may take to be aborted.
FAREWELL_SECONDS = 0.5
LAST_ABORT_SECONDS = 0.3
# The same after an error: nobody waits for a prompt, and a server under load takes its time.
TIDY_SECONDS = 5.0


def call_off(queue: _native.Queue, agenda: Agenda, sender: Sender, is_hurried: bool) -> None:
    """Cancels what is on the way and aborts uploads, within TIDY_SECONDS; in a hurry, FAREWELL_SECONDS."""
    deadline = time.monotonic() + (FAREWELL_SECONDS if is_hurried else TIDY_SECONDS)
    for request in [request for job in agenda.started for request in job.in_flight]:
        if request.operation != "CreateMultipartUpload":  # its reply names what is to be aborted: worth a wait
            queue.cancel(request)
    while len(queue):
        left = deadline - time.monotonic()
        if left <= 0:
            queue.cancel()
        for report in queue.take(left if left > 0 else 1.0):
            _hear_out(report)
    todo = [tidying.next_request() for job in agenda.stopped() if (tidying := job.cleanup()) is not None]
    if todo:
        with contextlib.suppress(FastDatastoreError):  # without credentials none can be aborted
            queue.submit(sender.orders([request for request in todo if request is not None]))
        seconds = LAST_ABORT_SECONDS if is_hurried else TIDY_SECONDS
        deadline = max(deadline, time.monotonic() + seconds)
        while len(queue) and (left := deadline - time.monotonic()) > 0:
            queue.take(left)
        queue.cancel()
        while len(queue):
            queue.take(1.0)


def _hear_out(report: Report) -> None:
    """An answer that came before the cancel may name an upload, which is to be aborted then."""
    request = cast(Request, report.tag)
    job = request.job
    if report.paused or job.error or job.done or retry.judge(request, report).kind is not retry.Kind.ANSWER:
        return
    # Whatever it raises, a sink's or source's own exceptions too: the one that ends the run is on its way already.
    with contextlib.suppress(Exception):
        job.on_answer(request, report)


def let_go(job: Job) -> None:
    """A job and its requests keep each other: none of them may keep memory."""
    for request in job.in_flight:
        request.target = request.body = None
    job.in_flight.clear()
    job.release()
