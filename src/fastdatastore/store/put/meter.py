"""How fast a back end takes the bytes of one put.

Where nothing is known yet, the first 256 MiB go raw, or a quarter of what waits, and as much again as those end. What
has ended and what is on the way, over the time that it took, is more than a link does that is given so much, and comes
down to what it does: a slow one is found out before the first bytes have left, a fast one by what it has taken by then.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from fastdatastore.config import MIB
from fastdatastore.store.put.rates import BELIEVED_FOR, UNKNOWN, Rates

# A back end that asks for more while it has so much under way does not wait for it: it only fills its connections.
_PLENTY = 32 * MIB
# What says how fast it is. With fewer connections, or less for each, one that is fast may look slow.
_ENOUGH = 256 * MIB
_SOME = 8 * MIB
# Less than this says little about a link: as it is, and as it is at most (bytes, or seconds).
_LEAST = 256 * MIB
_LITTLE = 64 * MIB
_LONG = 0.25
# Seconds for which the put's thread may be away without hearing what has ended.
_AWAY = 0.01


class Meter:
    """Of one call. Tells `rates` what it finds. For the put's thread; the link may be asked for by others.

    Of what is on the way, half is taken for sent.

    Attributes:
        waiting: Bytes that are to be sent when their turn comes.

    Args:
        clock: Seconds.
    """

    def __init__(self, rates: Rates, clock: Callable[[], float] = time.monotonic) -> None:
        self.rates = rates
        self.waiting = 0
        self._clock = clock
        self._on_the_way = 0
        # Of this measurement, which lasts while something is on the way.
        self._since = clock()
        self._at_first = 0  # what was on the way then
        self._most = 0  # of what was on the way since
        self._ended = 0
        self._ended_first = self._ended_last = self._since
        self._is_dry = True  # the back end has waited for more
        self._is_fed_late = False  # more came when some had ended
        # By the last one in which it had not: at most so much.
        self._found = UNKNOWN
        self._found_until = float("-inf")

    def __repr__(self) -> str:
        return f"<Meter [{self._on_the_way:,} bytes on the way, {self.waiting:,} wait | {self.rates!r}]>"

    @property
    def link(self) -> float:
        """Bytes that the back end takes in a second, or more; infinite: unknown."""
        known = self.rates.link(self._on_the_way + self.waiting)
        if self.rates.measured == UNKNOWN and self._clock() < self._found_until:
            known = min(known, self._found)
        return known if self._is_dry or self._most < _SOME else min(known, self._at_most)

    @property
    def is_fed(self) -> bool:
        """Whether it shows by what it has how fast it is; until then, more may wait."""
        enough = max(_ENOUGH, self.waiting // 4) + self._ended
        return self.rates.measured == UNKNOWN and self._on_the_way >= enough

    @property
    def silence(self) -> float:
        """Seconds from the beginning of this measurement until something has ended, or until now."""
        return (self._ended_first if self._ended else self._clock()) - self._since

    @property
    def _at_most(self) -> float:
        seconds = self._clock() - self._since
        return (self._ended + self._on_the_way) / seconds if seconds > 0 else UNKNOWN

    def drew(self, size: int) -> None:
        """The back end has taken an object of so many bytes."""
        if self._is_dry and not self._on_the_way:
            self._begin(is_dry=False)
        self._on_the_way += size
        self._is_fed_late = self._is_fed_late or self._ended > 0
        self._most = max(self._most, self._on_the_way)
        if self._is_dry and self._on_the_way >= _PLENTY:
            self._begin(is_dry=False)

    def ended(self, size: int) -> None:
        """It is stored, or has failed."""
        self._on_the_way -= size
        self._ended_last = self._clock()
        if not self._ended:
            self._ended_first = self._ended_last
        self._ended += size
        seconds = self._ended_last - self._since
        if not self._is_dry and seconds > 0 and self._ended >= max(2 * self._on_the_way, _LEAST):
            self.rates.sent((self._ended + (self._on_the_way - self._at_first) / 2) / seconds)
            self._begin(is_dry=False)

    def ran_dry(self) -> None:
        """The back end has asked for more, and there was nothing; or the put is over."""
        if self._on_the_way < (1 if self._is_dry else _PLENTY):
            self._conclude()
            self._begin(is_dry=True)

    @contextmanager
    def away(self) -> Iterator[None]:
        """Others do what they like, and nobody hears what has ended: if it takes long, that time is not measured."""
        before = self._clock()
        yield
        if self._clock() - before > _AWAY:
            self._begin(is_dry=self._on_the_way < _PLENTY)

    def _begin(self, *, is_dry: bool) -> None:
        self._since = self._clock()
        self._at_first = self._most = self._on_the_way
        self._ended = 0
        self._is_dry = is_dry
        self._is_fed_late = False

    def _conclude(self) -> None:
        seconds = (self._clock() if self._on_the_way else self._ended_last) - self._since
        if not self._ended or seconds <= 0 or (self._ended < _LITTLE and seconds < _LONG):
            return
        if self._most < _SOME or (self._is_dry and self._is_fed_late):  # it is something else that was slow
            return
        rate = (self._ended + self._on_the_way) / seconds
        self.rates.at_most(rate, self._most)
        if not self._is_dry:
            self._found, self._found_until = rate, self._clock() + BELIEVED_FOR
