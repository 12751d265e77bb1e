"""Trickles: requests whose bytes move, so that they are no stalls, but so slowly that a new connection is a better bet.

Slow is only what is slow beside the others: on a line that many requests share each of them gets little, and that is
nobody's fault. Only what all of them together get is held against a fixed least rate.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fastdatastore.engine.request import Request

# A request that gets less than this share of what one of its call's requests gets on average is on a bad connection:
# flows that share a link differ by their round-trip times, by a factor of two or three.
LEAST_SHARE = 0.1
# So many that are equally slow say that it is the line; fewer are compared with those that have ended, too.
MANY = 3
# How fast the rate of those that have ended is followed: the weight of the newest.
NEWEST = 0.1
# Bytes per second of a whole call: under this nothing ends, 8 MiB take half an hour.
LEAST_RATE = 4096
# If new connections are no better, so often, it is the way that is slow (a bad link of several, a slow disk): then
# what comes is taken as it comes.
SECOND_CHANCES = 2


class Trickles:
    """For one driver: looks at what has moved, once in a window. For one thread.

    A request is judged when its bytes moved before the window began and in it: one that has not begun to move waits for
    its connection or its server, and one that has come to rest is the plane's to judge, by its stall timeout.

    Args:
        window: Seconds between two looks; rates are means over it.
        now: time.monotonic().
    """

    def __init__(self, window: float, now: float) -> None:
        self._window = window
        self._looked_at = now
        self._moved = 0
        self._usual = 0.0  # bytes a second of a request that has ended
        self._before: dict[Request, int] = {}

    def __repr__(self) -> str:
        return f"<Trickles [{len(self._before)} requests looked at every {self._window:g} s]>"

    @property
    def due(self) -> float:
        """When to look next."""
        return self._looked_at + self._window

    def on_done(self, moved: int, seconds: float) -> None:
        """A large request has ended well: its bytes, and the time they took on their connection."""
        rate = moved / max(seconds, 1e-3)
        self._usual += (rate - self._usual) * (NEWEST if self._usual else 1.0)

    def forget(self, request: Request) -> None:
        """It is over: nothing keeps it any more, nor the memory of its body."""
        self._before.pop(request, None)

    def clear(self) -> None:
        """All of them are over."""
        self._before.clear()

    def look(self, now: float, moved: int, progress: Iterable[tuple[Request, int]]) -> list[tuple[Request, str]]:
        """The requests to be given up, each with a sentence that says why.

        Args:
            moved: Bytes of the whole call, ever.
            progress: Of each request in flight, the bytes of its present attempt.
        """
        since, seconds = self._looked_at, now - self._looked_at
        in_flight = dict(progress)
        steps = {
            request: here - before
            for request, here in in_flight.items()
            if (before := self._before.get(request, 0)) and request.sent_at < since and here > before
        }
        rate = (moved - self._moved) / seconds
        self._looked_at, self._moved, self._before = now, moved, in_flight
        if not steps:
            return []
        fair = rate / len(steps)
        if len(steps) < MANY:
            fair = max(fair, self._usual)
        return [
            (request, f"only {step / seconds:,.0f} bytes a second moved for {seconds:.1f} s")
            for request, step in steps.items()
            if not (request.weight and in_flight[request] >= request.weight)  # all is there but the answer
            and (rate < LEAST_RATE or (step / seconds < LEAST_SHARE * fair and request.trickled < SECOND_CHANCES))
        ]
