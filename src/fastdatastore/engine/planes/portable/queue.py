"""Queue: a waiter's end of the plane."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, final

from fastdatastore.engine.planes.portable.attempt import Attempt
from fastdatastore.engine.planes.portable.completions import Completions
from fastdatastore.engine.planes.portable.order import check_crc, read_order, views_of
from fastdatastore.engine.planes.portable.plane import Plane
from fastdatastore.engine.planes.portable.report import Report

if TYPE_CHECKING:
    from collections.abc import Sequence

    from typing_extensions import Buffer

_ALL: Any = object()
_FAREWELL_SECONDS = 1.0


@final
class Queue:
    """A completion queue: one waiter submits, and takes its reports. len(): attempts in flight."""

    def __init__(self, plane: Plane) -> None:
        if not isinstance(plane, Plane):
            raise TypeError(f"a Queue is made of a Plane, got {type(plane).__name__}")
        self._plane = plane
        self._completions = Completions()

    def __len__(self) -> int:
        return len(self._completions.in_flight)

    def __repr__(self) -> str:
        return f"<Queue of {len(self)} attempts in flight>"

    def submit(self, orders: Sequence[Any], /) -> None:
        """Hands a list of orders to the plane."""
        if not isinstance(orders, list):
            raise TypeError("submit() takes a list of orders")
        read = [read_order(order) for order in orders]
        pairs = zip(orders, read, strict=True)
        attempts = [Attempt(order[0], checked, self._completions) for order, checked in pairs]
        self._plane.submit(attempts)

    def take(self, timeout: float = -1.0, most: int = 1024, /) -> list[Report]:
        """A list of reports; empty after `timeout` seconds without one, or when nothing is in flight."""
        deadline = time.monotonic() + timeout
        while True:
            reports = self._completions.take(most)
            if reports or not self._completions.in_flight or timeout == 0:
                return reports
            left = None if timeout < 0 else deadline - time.monotonic()
            if left is not None and left <= 0:
                return reports
            self._completions.wait(left)

    def proceed(self, tag: object, target: Buffer | tuple[Buffer, ...], download_crc: int, /) -> None:
        """A paused body goes to `target`, one buffer or several, its CRC taken."""
        if isinstance(target, tuple) and not target:
            raise ValueError("a paused body needs a buffer to go to")
        views = views_of(target, writable=True)
        attempt = self._completions.proceed(tag, views, check_crc(download_crc))
        self._plane.proceed(attempt)

    def cancel(self, tag: object = _ALL, /) -> None:
        """Those with this tag, or all; each is still reported."""
        attempts = self._completions.in_flight.values()
        self._plane.cancel([attempt for attempt in attempts if tag is _ALL or attempt.tag is tag])

    def progress(self) -> list[tuple[object, int]]:
        """(tag, body bytes moved so far, either way) of each attempt in flight."""
        return [(attempt.tag, attempt.moved) for attempt in self._completions.in_flight.values()]

    @property
    def moved(self) -> int:
        """Body bytes that its attempts have moved so far, either way, whatever became of them. For any thread."""
        return self._completions.moved

    def fileno(self) -> int:
        """Readable while there are reports."""
        return self._completions.fileno()

    def __del__(self) -> None:
        """Cancels what is in flight, and waits until the loop writes into no buffer any more."""
        if not hasattr(self, "_completions") or not len(self) or self._plane.closed or self._plane.is_current_thread():
            return
        self.cancel()
        deadline = time.monotonic() + _FAREWELL_SECONDS
        while len(self) and (left := deadline - time.monotonic()) > 0:
            self.take(left)
