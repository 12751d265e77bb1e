"""Trying again: when, how often, and after what has been put right. What an outcome means is for `engine.retry`."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

from fastdatastore.engine import retry
from fastdatastore.engine.driver.agenda import Agenda
from fastdatastore.engine.planes.local import local as _native
from fastdatastore.engine.remote import Remote
from fastdatastore.engine.request import Request
from fastdatastore.errors import FastDatastoreError

if TYPE_CHECKING:
    from fastdatastore._native import Report

# An endpoint that takes connections and never answers is asked so often.
HANGING_ATTEMPTS = 3


class Retrier:
    """For one driver, one thread."""

    def __init__(self, remote: Remote, queue: _native.Queue, agenda: Agenda) -> None:
        self._remote = remote
        self._attempts = remote.settings.attempts
        self._queue = queue
        self._agenda = agenda

    def try_again(self, request: Request, report: Report, verdict: retry.Verdict) -> None:
        """Puts the request on the agenda once more, or fails its job for good."""
        job = request.job
        assert verdict.error is not None
        kind = verdict.kind
        if kind is retry.Kind.MEND:
            kind = retry.Kind.FREE_RETRY if self._mend(request, report, verdict) else retry.Kind.FATAL
        if kind is retry.Kind.RETRY and not self._pay(request, report):
            kind = retry.Kind.FATAL
        if kind is retry.Kind.FATAL or (kind is retry.Kind.RETRY and request.attempts >= self._limit(report, verdict)):
            self._agenda.fail(job, verdict.error)
            return
        try:
            job.before_retry(request, report)
        except FastDatastoreError as error:
            self._agenda.fail(job, error)
            return
        job.retries += 1
        if kind is retry.Kind.FREE_RETRY:
            request.stale += 1
            request.attempts -= 1
            self._agenda.at_once(request)
        else:
            self._agenda.later(request, time.monotonic() + retry.delay(request.attempts, verdict.throttled))

    def _limit(self, report: Report, verdict: retry.Verdict) -> int:
        """Most attempts after such a failure."""
        limit = min(self._attempts, verdict.limit or self._attempts)
        if report.outcome == _native.STALLED and not self._remote.has_answered:
            limit = min(limit, HANGING_ATTEMPTS)
        return limit

    def _mend(self, request: Request, report: Report, verdict: retry.Verdict) -> bool:
        """Puts right what the server complains of; False when that was tried before, or nothing can be done."""
        assert verdict.mend is not None
        assert request.terms is not None
        if verdict.mend in request.mended:
            return False
        request.mended |= {verdict.mend}
        match verdict.mend:
            case retry.Mend.CREDENTIALS:
                # An error of renewing is not raised: the server's word, that they have expired, says more.
                with contextlib.suppress(FastDatastoreError):
                    return self._remote.renew(request.terms)
                return False
            case retry.Mend.CLOCK:
                return self._remote.set_clock(report.headers.get("date", ""), request.terms)
            case retry.Mend.REGION:
                return self._remote.relocate(request.bucket, verdict.region, request.terms)

    def _pay(self, request: Request, report: Report) -> bool:
        """Takes the retry out of the client's budget; False when it is used up: a sick server is not beaten further."""
        budget = self._remote.retry_budget
        budget.widen(len(self._queue))
        request.cost = budget.take(timed_out=report.outcome == _native.STALLED or bool(request.given_up))
        return request.cost > 0
