"""A synthetic link to an S3 in virtual time, and a client that keeps it busy as the driver does.

The link is fluid: all requests that flow share it equally, none faster than the cap of one request (processor sharing,
so each event costs O(log n)). A request waits for its first byte, then flows, then ends. A server that throttles is a
token bucket of requests; it refuses with 503 after the latency.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from math import inf

from fastdatastore.engine import retry
from fastdatastore.engine.concurrency import Controller
from fastdatastore.engine.pacing import Pacer
from fastdatastore.engine.throttle import Throttle


@dataclass(frozen=True)
class Link:
    """What is simulated. Rates in bytes (requests) a second, times in seconds.

    Attributes:
        cap: Of one request.
        throttle: Requests a second above which the server answers 503; it saves up tenths of a second.
        noise: The link's rate changes each 0.1 s, by up to this share, either way.
        jitter: Each request's size and latency counts for up to this share more or less.
        changes: (time, factor) of the rate.
        crowd: Above this many flowing requests, each more costs `crowding` of the rate.
    """

    rate: float
    cap: float = inf
    latency: float = 0.030
    throttle: float = inf
    noise: float = 0.0
    jitter: float = 0.1
    changes: tuple[tuple[float, float], ...] = ()
    crowd: float = inf
    crowding: float = 0.0


@dataclass
class Run:
    """What came of it. Times in seconds.

    Attributes:
        done: (time, bytes) of each success.
        refused: Time of each 503.
        limits: (time, limit) after each change.
    """

    done: list[tuple[float, int]] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    limits: list[tuple[float, int]] = field(default_factory=list)

    def goodput(self, since: float, until: float) -> float:
        """Bytes a second."""
        return sum(nbytes for when, nbytes in self.done if since <= when < until) / (until - since)

    def refusals(self, since: float, until: float) -> float:
        """Share of the answers that were 503."""
        refused = sum(since <= when < until for when in self.refused)
        done = sum(since <= when < until for when, _ in self.done)
        return refused / max(1, refused + done)

    def limit(self, at: float) -> int:
        return next(limit for when, limit in reversed(self.limits) if when <= at)


@dataclass(order=True)
class _Request:
    ends: float  # on the link's virtual clock, once it flows
    number: int
    sent_at: float = field(default=0.0, compare=False)
    attempts: int = field(default=0, compare=False)


class Simulator:
    """A client with endless work of one size over a link.

    Args:
        sizes: Bytes of the requests, one after another.
        batch: This many requests are there at once; the next when all of them are done, and `gap` seconds over.
    """

    def __init__(
        self,
        link: Link,
        controller: Controller,
        sizes: Iterator[int],
        *,
        throttle: Throttle | None = None,
        pacer: Pacer | None = None,
        batch: float = inf,
        gap: float = 0.0,
        seed: int = 1,
    ) -> None:
        self.link = link
        self.controller = controller
        self.throttle = throttle or Throttle()
        self.pacer = pacer or Pacer(None, 0.0)
        self.run_log = Run()
        self._sizes = sizes
        self._batch = self._left = batch
        self._gap = gap
        self._size: dict[int, int] = {}
        self._random = random.Random(seed)
        self._numbers = count()
        self._now = 0.0
        self._rate = link.rate
        self._factor = 1.0
        self._flow_clock = 0.0  # bytes that a request which flows all the time would have moved
        self._flowing: list[_Request] = []
        self._events: list[tuple[float, int, str, _Request | float | None]] = []
        self._again: list[_Request] = []  # retries that are due
        self._waiting = 0  # requests that have a place in flight but have not ended
        self._wake_at = inf
        self._tokens = 0.1 * link.throttle
        self._tokens_at = 0.0

    def run(self, until: float) -> Run:
        """Runs until that time."""
        for when, factor in self.link.changes:
            self._at(when, "factor", factor)
        if self.link.noise:
            self._at(0.0, "noise", None)
        self._fill()
        while True:
            flow = self._flow()
            ends = inf
            if self._flowing:
                ends = self._now + max(0.0, self._flowing[0].ends - self._flow_clock) / flow
            when = min(ends, self._events[0][0] if self._events else inf)
            if when >= until:
                return self.run_log
            self._flow_clock += (when - self._now) * flow if self._flowing else 0.0
            self._now = when
            if ends <= when:
                self._succeed(heapq.heappop(self._flowing))
            else:
                self._happen(*heapq.heappop(self._events)[2:])
            self._fill()

    def _flow(self) -> float:
        """Bytes a second that each flowing request gets."""
        flowing = len(self._flowing)
        if not flowing:
            return 0.0
        crowded = max(0.05, 1.0 - self.link.crowding * max(0.0, flowing - self.link.crowd))
        return min(self.link.cap, self._rate * self._factor * crowded / flowing)

    def _at(self, when: float, what: str, about: _Request | float | None) -> None:
        heapq.heappush(self._events, (when, next(self._numbers), what, about))

    def _vary(self) -> float:
        return 1.0 + self._random.uniform(-self.link.jitter, self.link.jitter)

    def _happen(self, what: str, about: _Request | float | None) -> None:
        if isinstance(about, _Request):
            if what == "flow":
                about.ends = self._flow_clock + self._size[about.number] * self._vary()
                heapq.heappush(self._flowing, about)
            elif what == "refuse":
                self._refuse(about)
            else:
                self._again.append(about)
        elif what == "factor" and about is not None:
            self._factor = about
        elif what == "noise":
            self._rate = self.link.rate * (1.0 + self._random.uniform(-self.link.noise, self.link.noise))
            self._at(self._now + 0.1, "noise", None)
        elif what == "batch":
            self._left = self._batch
        else:
            self._wake_at = inf

    def _fill(self) -> None:
        """As the driver: sends while there is room and neither the bucket nor the cap says wait."""
        while self.controller.room(self._waiting):
            wait = max(self.throttle.wait(self._now), self.pacer.wait(self._now))
            if wait > 0:
                wait = max(wait, 0.001)  # as fine as timers are
                if self._now + wait < self._wake_at:
                    self._wake_at = self._now + wait
                    self._at(self._wake_at, "wake", None)
                return
            if self._again:
                self._send(self._again.pop())
            elif self._left > 0:
                self._left -= 1
                self._send(self._next())
            else:
                return

    def _next(self) -> _Request:
        request = _Request(0.0, next(self._numbers))
        self._size[request.number] = next(self._sizes)
        return request

    def _send(self, request: _Request) -> None:
        request.sent_at = self._now
        request.attempts += 1
        self._waiting += 1
        self.controller.on_sent(self._now)
        self.throttle.on_sent(self._now)
        self.pacer.spend(self._now, self._size[request.number])
        self._note()
        self._at(self._now + self.link.latency * self._vary(), "flow" if self._admitted() else "refuse", request)

    def _admitted(self) -> bool:
        if self.link.throttle == inf:
            return True
        self._tokens = min(0.1 * self.link.throttle, self._tokens + (self._now - self._tokens_at) * self.link.throttle)
        self._tokens_at = self._now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    def _succeed(self, request: _Request) -> None:
        nbytes = self._size.pop(request.number)
        self._waiting -= 1
        self.throttle.on_done(self._now)
        self.controller.on_done(self._now, nbytes)
        self.run_log.done.append((self._now, nbytes))
        self._note()
        if not self._size and self._left <= 0:
            self._at(self._now + self._gap, "batch", None)

    def _refuse(self, request: _Request) -> None:
        self._waiting -= 1
        self.run_log.refused.append(self._now)
        self.throttle.on_throttled(self._now, request.sent_at)
        self.controller.on_failed(self._now, throttled=True)
        self._note()
        delay = self._random.uniform(0.0, min(retry.CAP, retry.THROTTLED_BASE * 2.0 ** (request.attempts - 1)))
        self._at(self._now + delay, "again", request)

    def _note(self) -> None:
        if not self.run_log.limits or self.run_log.limits[-1][1] != self.controller.limit:
            self.run_log.limits.append((self._now, self.controller.limit))
