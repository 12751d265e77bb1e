"""Requests that take too long: an upload part gets a second attempt beside the first, a trickle is called off.

`hedging` and `trickles` say which; here it is done.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from fastdatastore.engine.admission import Admission
from fastdatastore.engine.driver.room import Room
from fastdatastore.engine.hedging import Hedger
from fastdatastore.engine.planes.local import local as _native
from fastdatastore.engine.request import Request
from fastdatastore.engine.trickles import Trickles

# How often parts in flight are looked at for one that is overdue.
HEDGE_SECONDS = 0.1


class Laggards:
    """For one driver, one thread.

    Args:
        stall_timeout: Of the plane; trickles are looked for once in so many seconds.
        now: time.monotonic().
    """

    def __init__(self, queue: _native.Queue, room: Room, stall_timeout: float, now: float) -> None:
        self._queue = queue
        self._room = room
        self._hedger = Hedger()
        self._uploading: set[Request] = set()  # parts that a second attempt could overtake
        self._hedge_at = 0.0
        self._trickles = Trickles(stall_timeout, now)

    def __repr__(self) -> str:
        return f"<Laggards {self._hedger!r} {self._trickles!r}>"

    def dues(self) -> Iterator[float]:
        """When to look again, for either, while something is in flight."""
        if self._uploading:
            yield self._hedge_at
        if len(self._queue):
            yield self._trickles.due

    def on_sent(self, request: Request) -> None:
        if request.operation == "UploadPart":
            self._uploading.add(request)

    def on_report(self, request: Request) -> None:
        self._uploading.discard(request)
        self._trickles.forget(request)

    def clear(self) -> None:
        """The driver is over: no request is kept."""
        self._uploading.clear()
        self._trickles.clear()

    # ---- second attempts ----

    def second_attempt(self, now: float, admission: Admission) -> Request | None:
        """The part that is most overdue a second time, if the budget allows it and there is room."""
        if not self._uploading or now < self._hedge_at:
            return None
        self._hedge_at = now + HEDGE_SECONDS
        alone = [(r, r.sent_at, r.weight) for r in self._uploading if r.twin is None and r.job.error is None]
        late = self._hedger.pick(now, alone)
        if late is None:
            return None
        twin = late.double()
        if not admission.admits(twin, now):
            late.twin = None
            self._hedger.on_withdrawn(late.weight)
            return None
        twin.job.in_flight.add(twin)
        return twin

    def is_overtaken(self, request: Request, is_answer: bool, now: float) -> bool:
        """Of two attempts of one part the first answer counts; a failure only when it is the last."""
        if is_answer and request.operation == "UploadPart":
            self._hedger.on_done(request.weight, now - request.sent_at)
        twin, request.twin = request.twin, None
        if twin is None:
            return False
        if twin not in request.job.in_flight:  # it has won
            return True
        if is_answer:
            self._queue.cancel(twin)
            return False
        twin.twin = None
        return True

    # ---- trickles ----

    def on_answer(self, request: Request, report: _native.Report) -> None:
        """An attempt was answered: how fast its bytes moved is what others are held against."""
        if request.is_large:
            self._trickles.on_done(report.sent + report.landed, report.took - report.waited)

    def call_off_trickles(self, now: float) -> None:
        if now < self._trickles.due:
            return
        progress = cast("list[tuple[Request, int]]", self._queue.progress())
        # Who has patience waits for the server's work; what moves meanwhile are blanks that keep the connection.
        progress = [(r, moved) for r, moved in progress if not r.patience and r not in self._room.paused]
        for request, why in self._trickles.look(now, self._queue.moved, progress):
            request.given_up = why
            request.trickled += 1
            self._queue.cancel(request)
