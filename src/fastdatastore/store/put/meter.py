"""How fast a back end takes bytes, while it never has to wait for them."""

from __future__ import annotations

import time
from collections.abc import Callable

from fastdatastore.config import MIB
from fastdatastore.store.compression import Rates

# Less than this, at the rate of few connections, says little about a link.
_LEAST = 256 * MIB
# A back end that asks for more while it has so much under way does not wait for it: it only fills its connections.
_PLENTY = 32 * MIB


class Meter:
    """Of one call. Tells `rates` what it finds.

    Of what is on the way, half is taken for sent. As long as that is a large part of all, a guess takes all of it: who
    believes in a fast link sends raw, and loses nothing.

    Args:
        clock: Seconds.
    """

    def __init__(self, rates: Rates, clock: Callable[[], float] = time.monotonic) -> None:
        self._rates = rates
        self._clock = clock
        self._on_the_way = 0
        self._since: float | None = None  # when this measurement began
        self._at_first = 0  # what was on the way then
        self._ended = 0

    def drew(self, size: int) -> None:
        """The back end has taken an object of so many bytes."""
        if self._since is None:
            self._begin()
        self._on_the_way += size

    def ended(self, size: int) -> None:
        """It is stored, or has failed."""
        self._on_the_way -= size
        self._ended += size
        if self._since is None or (seconds := self._clock() - self._since) <= 0:
            return
        if self._ended >= max(2 * self._on_the_way, _LEAST):
            self._rates.sent((self._ended + (self._on_the_way - self._at_first) / 2) / seconds)
            self._begin()
        elif self._ended + self._on_the_way >= _LEAST:
            self._rates.guessed((self._ended + self._on_the_way) / seconds)

    def ran_dry(self) -> None:
        """The back end has asked for more, and there was nothing."""
        if self._on_the_way < _PLENTY:
            self._since = None

    def _begin(self) -> None:
        self._since = self._clock()
        self._at_first = self._on_the_way
        self._ended = 0
