"""Sending: requests leave in batches, as many as may be on the way."""

from __future__ import annotations

from collections.abc import Sequence

from fastdatastore.engine import injection
from fastdatastore.engine.admission import Admission
from fastdatastore.engine.driver.agenda import Agenda
from fastdatastore.engine.driver.laggards import Laggards
from fastdatastore.engine.options import Options
from fastdatastore.engine.planes.local import local as _native
from fastdatastore.engine.remote import Remote
from fastdatastore.engine.request import Request
from fastdatastore.errors import FastDatastoreError


class Sender:
    """For one driver, one thread."""

    def __init__(
        self,
        remote: Remote,
        options: Options,
        queue: _native.Queue,
        agenda: Agenda,
        admission: Admission,
        laggards: Laggards,
    ) -> None:
        self._remote = remote
        self._options = options
        self._settings = remote.settings
        self._queue = queue
        self._agenda = agenda
        self._admission = admission
        self._laggards = laggards

    def send(self, now: float) -> None:
        """Submits what there is room for."""
        agenda, admission = self._agenda, self._admission
        agenda.wake(now)
        batch: list[Request] = []
        while (request := agenda.next_request(now, bool(batch))) is not None:
            if not admission.admits(request, now):
                agenda.put_back(request)
                break
            request.job.in_flight.add(request)
            batch.append(request)
        twin = self._laggards.second_attempt(now, admission)
        if twin is not None:
            batch.append(twin)
        if batch:
            self._submit(batch, now)

    def _submit(self, batch: list[Request], now: float) -> None:
        if self._settings.inject_failures:
            batch = [request for request in batch if not self._is_struck(request, now)]
            if not batch:
                return
        try:
            orders = self._orders(batch)
        except FastDatastoreError as error:
            for request in batch:
                self._admission.on_withdrawn(request, now)
                request.job.in_flight.discard(request)
            for request in batch:  # a job ends when its last request is off, so all go first
                self._agenda.fail(request.job, error)
            return
        for request in batch:
            request.attempts += 1
            request.job.attempts += 1
            request.started = request.started or now
            request.sent_at = now
            request.given_up = ""
            self._laggards.on_sent(request)
        self._queue.submit(orders)

    def _orders(self, requests: Sequence[Request]) -> list[_native.Order]:
        snapshot = self._remote.snapshot()
        return [self._remote.order(r, snapshot, self._options.headers(r.operation)) for r in requests]

    def _is_struck(self, request: Request, now: float) -> bool:
        """Whether this attempt fails on purpose: it counts, and is over before anything was sent."""
        error = injection.strike(request, self._settings)
        if error is None:
            return False
        self._admission.on_withdrawn(request, now)
        job = request.job
        job.in_flight.discard(request)
        request.attempts += 1
        job.attempts += 1
        if request.twin is not None:  # a second attempt beside another one, which is on the way
            request.twin.twin, request.twin = None, None
        elif request.attempts >= self._settings.attempts:
            self._agenda.fail(job, error)
            self._agenda.settle(job)
        else:
            job.retries += 1
            self._agenda.later(request, now)
        return True
