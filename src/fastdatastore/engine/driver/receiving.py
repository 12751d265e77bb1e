"""Receiving: each report goes to the job it belongs to, or is tried again."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, cast

from fastdatastore.engine import retry
from fastdatastore.engine.admission import Admission
from fastdatastore.engine.appetite import Appetite
from fastdatastore.engine.budget import REFUND
from fastdatastore.engine.driver.agenda import Agenda
from fastdatastore.engine.driver.laggards import Laggards
from fastdatastore.engine.driver.retrying import Retrier
from fastdatastore.engine.driver.room import Room
from fastdatastore.engine.job import RetryRequest
from fastdatastore.engine.planes.local import local as _native
from fastdatastore.engine.remote import Remote
from fastdatastore.engine.request import Request
from fastdatastore.errors import S3Error

if TYPE_CHECKING:
    from fastdatastore._native import Report


class Receiver:
    """For one driver, one thread."""

    def __init__(
        self,
        remote: Remote,
        queue: _native.Queue,
        agenda: Agenda,
        appetite: Appetite,
        admission: Admission,
        laggards: Laggards,
        room: Room,
    ) -> None:
        self._remote = remote
        self._queue = queue
        self._agenda = agenda
        self._appetite = appetite
        self._admission = admission
        self._laggards = laggards
        self._room = room
        self._retrier = Retrier(remote, queue, agenda)

    def receive(self, patience: float) -> None:
        """Takes the reports there are, or waits for the first one; `patience` in seconds, below 0 for ever."""
        reports = self._queue.take(patience)
        now = time.monotonic()
        for report in reports:
            request = cast(Request, report.tag)
            if report.paused:
                self._room.paused[request] = report
                self._direct(request, report, now)
            else:
                self._room.paused.pop(request, None)
                self._handle(request, report, now)
        self._admission.turn(now)

    def direct_paused(self, now: float) -> None:
        """A new turn: there may be memory, or bandwidth, for the downloads that wait for it."""
        room = self._room
        room.is_starved = False
        for request, report in list(room.paused.items()):
            if not room.is_starved:
                self._direct(request, report, now)

    def _direct(self, request: Request, report: Report, now: float) -> None:
        """The head of a long body is there: its job says where it goes."""
        job = request.job
        try:
            if job.error is not None:
                raise job.error
            if self._remote.pacer.wait(now):
                return
            need = job.need_when_paused(report)
            if need and not self._room.may_take(need, self._agenda.has_more):
                return
            try:
                target, crc = job.on_paused(request, report)
            finally:
                self._room.spent(need)
        except Exception as error:  # the user's own, of what gives a place
            del self._room.paused[request]
            self._agenda.fail(job, error)
            self._queue.cancel(request)
            return
        del self._room.paused[request]
        request.target, request.is_large = target, True
        self._appetite.on_size(job)
        self._admission.on_large(request, now)
        self._queue.proceed(request, target, crc)
        self._agenda.reopen(job)

    def _handle(self, request: Request, report: Report, now: float) -> None:
        """The attempt has ended."""
        job = request.job
        job.in_flight.discard(request)
        if report.status:
            self._remote.has_answered = True
        verdict = retry.judge(request, report)
        is_answer = verdict.kind is retry.Kind.ANSWER
        self._admission.on_report(request, report, is_answer, verdict.throttled, now)
        self._laggards.on_report(request)
        if job.error is not None or job.done or self._laggards.is_overtaken(request, is_answer, now):
            self._agenda.settle(job)
            return
        if not is_answer:
            self._retrier.try_again(request, report, verdict)
            return
        self._laggards.on_answer(request, report)
        try:
            job.on_answer(request, report)
        except RetryRequest as again:
            self._retrier.try_again(request, report, retry.Verdict(retry.Kind.RETRY, cast(S3Error, again.error)))
            return
        except Exception as error:
            self._agenda.fail(job, error)
        if request.operation == "CreateMultipartUpload":  # now it has parts to send
            self._appetite.on_ended(job)
        self._remote.retry_budget.give_back(request.cost or REFUND)
        self._agenda.reopen(job)
        self._agenda.settle(job)
