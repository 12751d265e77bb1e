"""What all puts to one back end have measured: how fast it takes bytes, and how fast chunks compress beside that."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from fastdatastore import forks
from fastdatastore.config import MIB

if TYPE_CHECKING:
    from fastdatastore.store.backends.base import Backend

# Seconds after which a link is measured anew, and those for which it is judged by what it did with little.
_KNOWN_FOR = 60.0
BELIEVED_FOR = 10.0
# What a back end for 10 Gbit/s asks for, at 20 MB/s a connection.
_ALL_AT_ONCE = 512 * MIB

UNKNOWN = float("inf")


class Rates:
    """Thread-safe. Rates are bytes a second; UNKNOWN, which is infinite, also when that is not known any more.

    Args:
        clock: Seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = forks.lock()
        self._sent = UNKNOWN
        self._sent_until = float("-inf")
        self._at_most, self._given = UNKNOWN, 1
        self._at_most_until = float("-inf")
        self._yield = 1.0

    def __repr__(self) -> str:
        link = "unknown" if self.measured == UNKNOWN else f"{self.measured / 1e6:,.0f} MB/s"
        return f"<Rates [link: {link} | compressing: {self._yield:.2f} of a sample's rate]>"

    @property
    def measured(self) -> float:
        """What the back end takes while it never has to wait."""
        return self._sent if self._clock() < self._sent_until else UNKNOWN

    def link(self, given: int) -> float:
        """The same or, as long as that is unknown, what it takes at most.

        Args:
            given: Bytes that it can have at once: with more of them it may be as much faster.
        """
        with self._lock:
            if self._clock() >= self._at_most_until:
                return self.measured
            return min(self.measured, self._at_most * max(1.0, min(given, _ALL_AT_ONCE) / self._given))

    def sent(self, rate: float) -> None:
        """It took so many bytes in a second, and never had to wait for them."""
        with self._lock:
            known = self.measured
            self._sent = rate if known == UNKNOWN else (known + rate) / 2
            self._sent_until = self._clock() + _KNOWN_FOR
            self._at_most_until = float("-inf")

    def at_most(self, rate: float, given: int) -> None:
        """It took no more than that in a second, with up to so many bytes on the way."""
        with self._lock:
            if self._clock() >= self._at_most_until or rate / given < self._at_most / self._given:
                self._at_most, self._given = rate, given
                self._at_most_until = self._clock() + BELIEVED_FOR

    @property
    def compressing(self) -> float:
        """The rate of whole chunks, for each byte a second of a sample's: less where threads wait for a core."""
        return self._yield

    def compressed(self, rate: float, of_sample: float) -> None:
        """A whole chunk was compressed at `rate`, its sample at another one."""
        with self._lock:
            self._yield += (min(2.0, max(0.1, rate / of_sample)) - self._yield) / 4


_rates: WeakKeyDictionary[Backend, Rates] = WeakKeyDictionary()
_rates_lock = forks.lock()


def rates_of(backend: Backend) -> Rates:
    """What is known of the back end in this process."""
    with _rates_lock:
        return _rates.setdefault(backend, Rates())
