"""Hedging: a second attempt of an upload part that takes much longer than its like, the first to finish wins.

It pays for uploads, whose slow tail is long, hardly for downloads. Bounded in bytes, so that a store that is slow as a
whole does not get still more to do.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from math import inf
from typing import TypeVar

T = TypeVar("T")

# Sent twice, at most: this share of the bytes that were uploaded ("The Tail at Scale", Dean and Barroso, CACM 2013:
# hedging after the 95th percentile adds about 5 % of load).
BUDGET = 0.05
QUANTILE = 0.95
# A quantile alone would always find its 5 %. A second attempt costs as long as a usual one, so before this multiple
# of the median it could not win.
MEDIANS = 2.0
# Fewer finished parts say nothing of a tail.
SAMPLES_MIN = 16
SAMPLES = 128
_REFRESH = 8  # finished parts between two looks at the sorted samples


class _Finished:
    """Seconds of the parts of one size class."""

    __slots__ = ("fresh", "overdue", "seconds")

    def __init__(self) -> None:
        self.seconds: deque[float] = deque(maxlen=SAMPLES)
        self.overdue = inf
        self.fresh = 0

    def add(self, seconds: float) -> None:
        self.seconds.append(seconds)
        self.fresh += 1
        if self.fresh >= _REFRESH and len(self.seconds) >= SAMPLES_MIN:
            self.fresh = 0
            ordered = sorted(self.seconds)
            high, median = ordered[int(QUANTILE * len(ordered))], ordered[len(ordered) // 2]
            self.overdue = max(high, MEDIANS * median)


class Hedger:
    """Which part deserves a second attempt. For one thread.

    Only parts of like size are compared: within the same power of two.
    """

    def __init__(self, budget: float = BUDGET) -> None:
        self._budget = budget
        self._sizes: dict[int, _Finished] = {}
        self._uploaded = 0
        self._hedged = 0

    def __repr__(self) -> str:
        return f"<Hedger [{self._hedged:,} bytes sent twice of {self._uploaded:,}]>"

    @property
    def hedged(self) -> int:
        """Bytes sent as second attempts."""
        return self._hedged

    def on_done(self, nbytes: int, seconds: float) -> None:
        """A part of `nbytes` is up; `seconds` from sending to answer, of the attempt that won."""
        self._uploaded += nbytes
        finished = self._sizes.get(nbytes.bit_length())
        if finished is None:
            finished = self._sizes[nbytes.bit_length()] = _Finished()
        finished.add(seconds)

    def overdue(self, nbytes: int) -> float:
        """Seconds after which a part of `nbytes` deserves a second attempt; inf while too little is known."""
        finished = self._sizes.get(nbytes.bit_length())
        return inf if finished is None else finished.overdue

    def pick(self, now: float, in_flight: Iterable[tuple[T, float, int]]) -> T | None:
        """The part that is most overdue, if the budget allows it; it is then counted as sent twice.

        Args:
            in_flight: (part, when it was sent, its bytes) of parts that have no second attempt yet.
        """
        worst: tuple[float, T, int] | None = None
        allowed = self._budget * self._uploaded - self._hedged
        for part, sent_at, nbytes in in_flight:
            late = (now - sent_at) / self.overdue(nbytes)
            if late > 1.0 and nbytes <= allowed and (worst is None or late > worst[0]):
                worst = (late, part, nbytes)
        if worst is None:
            return None
        self._hedged += worst[2]
        return worst[1]

    def on_withdrawn(self, nbytes: int) -> None:
        """A part was picked but could not go out a second time."""
        self._hedged -= nbytes
