"""How fast a back end takes bytes, while it never has to wait for them."""

from __future__ import annotations

import time
from collections.abc import Callable

from fastdatastore.config import MIB
from fastdatastore.store.compression import Rates

_LEAST = 16 * MIB


class Meter:
    """Of one call. Tells `rates` what it finds.

    A back end draws the next object when there is room for it, so over a while it draws as much as it sends. At the
    beginning, when nothing is on the way, that is too much: what believes in a fast link, and sends raw, loses least.

    Args:
        clock: Seconds.
    """

    def __init__(self, rates: Rates, clock: Callable[[], float] = time.monotonic) -> None:
        self._rates = rates
        self._clock = clock
        self._on_the_way = 0
        self._since: float | None = None  # when this measurement began
        self._drawn = 0
        self._ended = 0

    def drew(self, size: int) -> None:
        """The back end has taken an object of so many bytes."""
        if self._since is None:
            self._begin()
        self._drawn += size
        self._on_the_way += size

    def ended(self, size: int) -> None:
        """It is stored, or has failed."""
        self._on_the_way -= size
        self._ended += size
        if self._since is None or (seconds := self._clock() - self._since) <= 0:
            return
        if self._ended >= max(2 * self._on_the_way, _LEAST):
            self._rates.sent(self._drawn / seconds)
            self._begin()
        elif self._ended >= _LEAST:
            self._rates.guessed(self._drawn / seconds)

    def ran_dry(self) -> None:
        """The back end would have taken more than there was."""
        self._since = None

    def _begin(self) -> None:
        self._since = self._clock()
        self._drawn = self._ended = 0
