"""Whether one more request may go out now: a driver's view of concurrency, throttling, bandwidth and memory.

Counts are handed on in batches, one a turn of the driver: small objects come by the ten thousand a second.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastdatastore.engine import process
from fastdatastore.engine.concurrency import Controller
from fastdatastore.engine.remote import Remote
from fastdatastore.engine.request import Request

if TYPE_CHECKING:
    from fastdatastore._native import Report

# A request that is held back because others use the client's slots, or memory, looks again after so long.
LOOK_AGAIN = 0.05


class _Kind:
    """A driver's requests of one kind."""

    __slots__ = ("controller", "done", "done_bytes", "failed", "in_flight", "sent", "throttled")

    def __init__(self, controller: Controller) -> None:
        self.controller = controller
        self.in_flight = 0
        self.sent = 0  # since the last turn, likewise the rest
        self.done = 0
        self.done_bytes = 0
        self.failed = 0
        self.throttled = 0


class Admission:
    """For one driver, one thread."""

    def __init__(self, remote: Remote) -> None:
        self._remote = remote
        self._kinds = {
            (up, large): _Kind(remote.concurrency.of(up=up, large=large))
            for up in (False, True)
            for large in (False, True)
        }
        self._tickets = process.tickets(remote.settings)
        self._ceiling = remote.settings.memory_ceiling
        self._wait = 0.0

    def __repr__(self) -> str:
        counts = ", ".join(f"{kind.in_flight} of {kind.controller.limit}" for kind in self._kinds.values())
        return f"<Admission [{counts}]>"

    def join(self) -> None:
        """The driver begins: it takes its share of the client's slots."""
        for kind in self._kinds.values():
            kind.controller.join()

    def _kind(self, request: Request) -> _Kind:
        return self._kinds[request.is_upload, request.is_large]

    def admits(self, request: Request, now: float) -> bool:
        """Whether `request` may go out; it is counted as sent if so. If not, `wait` says how long that may last."""
        kind = self._kind(request)
        if kind.controller.room(kind.in_flight) <= kind.sent:
            self._wait = LOOK_AGAIN
            return False
        throttle = self._remote.throttle(request.bucket)
        self._wait = max(throttle.wait(now), self._remote.pacer.wait(now))
        if self._wait:
            return False
        kind.sent += 1
        kind.in_flight += 1
        throttle.on_sent(now)
        pacer = self._remote.pacer
        if pacer.is_capped:
            request.charged = request.weight or min(pacer.guess, request.pause_above)
            pacer.spend(now, request.charged)
        return True

    def grants(self, size: int, idle: bool) -> bool:
        """Whether so many bytes may be taken of the pool now, see Tickets.take; spent(size) follows if so."""
        return self._tickets.take(size, self._ceiling, idle)

    def spent(self, size: int) -> None:
        if size:
            self._tickets.spent(size)

    @property
    def wait(self) -> float:
        """Seconds after which a request that was not admitted should ask again."""
        return self._wait

    def on_large(self, request: Request, now: float) -> None:
        """A small download has turned out to be a part: it changes its kind."""
        self._flush(now)
        small, large = self._kinds[False, False], self._kinds[False, True]
        small.in_flight -= 1
        small.controller.on_done(now, 0)
        large.in_flight += 1
        large.controller.on_sent(now)
        if self._remote.pacer.is_capped:
            self._remote.pacer.on_size(request.pause_above)  # no more of it comes unasked
            self._settle(request, request.weight, now)

    def _settle(self, request: Request, nbytes: int, now: float) -> None:
        """Under a cap: so many bytes it is, in place of those that were counted."""
        self._remote.pacer.spend(now, nbytes - request.charged)
        request.charged = nbytes

    def on_withdrawn(self, request: Request, now: float) -> None:
        """It was admitted but could not go out."""
        kind = self._kind(request)
        kind.sent -= 1
        kind.in_flight -= 1
        self._settle(request, 0, now)

    def on_report(self, request: Request, report: Report, ok: bool, throttled: bool, now: float) -> None:
        """The attempt has ended; `ok`: with an answer."""
        kind = self._kind(request)
        kind.in_flight -= 1
        moved = report.sent if request.is_upload else report.landed
        if self._remote.pacer.is_capped:
            if ok and request.pause_above and not request.weight:
                self._remote.pacer.on_size(moved)
            self._settle(request, moved, now)
        if ok:
            kind.done += 1
            kind.done_bytes += moved
        else:
            kind.failed += 1
            kind.throttled += throttled
        if throttled:
            self._remote.throttle(request.bucket).on_throttled(now, request.sent_at)
        else:
            self._remote.throttle(request.bucket).on_done(now)

    def turn(self, now: float) -> None:
        """The end of a turn: tells the controllers of all that has happened in it, and keeps to the ceiling."""
        self._flush(now)
        self._tickets.trim(self._ceiling)

    def _flush(self, now: float) -> None:
        for kind in self._kinds.values():
            if kind.done:
                kind.controller.on_done(now, kind.done_bytes, kind.done)
            if kind.failed:
                kind.controller.on_failed(now, throttled=kind.throttled > 0, count=kind.failed)
            if kind.sent:
                kind.controller.on_sent(now, kind.sent)
            kind.done = kind.done_bytes = kind.failed = kind.throttled = kind.sent = 0

    def leave(self, now: float) -> None:
        """The driver is over: what it still had in flight is not any more."""
        self._flush(now)
        for kind in self._kinds.values():
            if kind.in_flight:
                kind.controller.on_failed(now, count=kind.in_flight)
                kind.in_flight = 0
            kind.controller.leave()
