"""Whether a chunk is compressed, and how: only while that is faster than to send it as it is.

What decides is measured. A sample of each run of chunks says how far they shrink, and how fast; the put says how fast
its back end takes bytes when it never has to wait for them. A chunk is compressed if the slower of compressing and of
sending what is left is still clearly faster than sending it raw. As long as the link is unknown, all goes raw: only a
back end that gets as much as it asks for shows what it can take.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias
from weakref import WeakKeyDictionary

from fastdatastore import forks
from fastdatastore.config import MIB
from fastdatastore.errors import ConfigurationError
from fastdatastore.store import codec
from fastdatastore.store.frame import Frame

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from fastdatastore.store.backends.base import Backend

Setting: TypeAlias = Literal["auto", "none"] | int

LOWEST, HIGHEST = -7, 22
# What does not shrink by so much is not worth the cores, here and where it is read. Random float64 shrink to 0.87, by
# their exponents alone.
_WORTH = 0.85
# To be chosen, it must be faster by this: what is measured is not exact.
_FASTER = 1.1
# From the head, the middle and the tail: about 1 % of a chunk, and enough for zstd to find what repeats nearby.
_STRETCH = 32 << 10
# A sample holds for so many bytes of its segment.
_HOLDS_FOR = 128 * MIB
# Numbers of these sizes are tried shuffled, and are if that saves so much more.
_NUMBERS = (2, 4, 8, 16)
_SHUFFLE_SAVES = 0.95
# What a level takes of level 1's speed, and of its body, for arrays, frames and pickles.
_LEVELS = {1: (1.0, 1.0), 3: (0.5, 0.95)}
# Seconds after which a link is measured anew. Where compressing is what takes the time, a back end shows nothing.
_KNOWN_FOR = 60.0
# Core-seconds that it takes to send a byte, which compressing does not get.
_SENDING = 0.4e-9


def check(setting: object) -> Setting:
    """Returns a setting of compression.

    Raises:
        ConfigurationError: It is none.
    """
    if setting == "auto" or setting == "none" or (type(setting) is int and LOWEST <= setting <= HIGHEST):
        return setting
    raise ConfigurationError(f"compression is 'auto', 'none' or a level of zstd, -7 to 22, got {setting!r}")


class Sample(NamedTuple):
    """How a chunk compresses at level 1.

    Attributes:
        ratio: Bytes after, for each byte before.
        rate: Bytes that a thread takes in a second.
        shuffled: By a byte shuffle first.
    """

    ratio: float
    rate: float
    shuffled: bool


class Sampling:
    """What is known of how the chunks of one segment compress."""

    def __init__(self) -> None:
        self._last: Sample | None = None
        self._left = 0

    def of(self, raw: memoryview, item: int) -> Sample:
        """The last sample, or a new one of this chunk."""
        if self._last is None or self._left <= 0:
            self._last, self._left = sample(raw, item), _HOLDS_FOR
        self._left -= len(raw)
        return self._last

    def turned_out(self, frame: Frame) -> None:
        """A whole chunk was compressed."""
        if self._last is not None:
            self._last = self._last._replace(ratio=frame.body / frame.raw)


def sample(raw: memoryview, item: int) -> Sample:
    """Compresses some of it."""
    stretch = _STRETCH // item * item if item <= _STRETCH else _STRETCH
    if len(raw) > 3 * stretch:
        middle = len(raw) // 2 // item * item
        end = len(raw) // item * item
        some = memoryview(b"".join((raw[:stretch], raw[middle : middle + stretch], raw[end - stretch : end])))
    else:
        some = raw
    found = _timed(some, item, shuffled=False)
    if item in _NUMBERS:
        shuffled = _timed(some, item, shuffled=True)
        if shuffled.ratio < _SHUFFLE_SAVES * found.ratio:
            return shuffled
    return found


def _timed(raw: memoryview, item: int, *, shuffled: bool) -> Sample:
    start = time.perf_counter()
    frame, _ = codec.compress(raw, item, 1, shuffled=shuffled)
    return Sample(frame.body / frame.raw, frame.raw / max(time.perf_counter() - start, 1e-9), shuffled)


class Rates:
    """What was measured at one back end, by all puts there. Thread-safe.

    Args:
        clock: Seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = forks.lock()
        self._link: float | None = None
        self._is_guess = True
        self._measured = 0.0  # when
        self._yield = 1.0

    def __repr__(self) -> str:
        link = "unknown" if self.link is None else f"{self.link / 1e6:,.0f} MB/s"
        return f"<Rates [link: {link} | compressing: {self._yield:.2f} of a sample's rate]>"

    @property
    def link(self) -> float | None:
        """Bytes that it takes in a second; None: unknown, or not known any more."""
        return self._link if self._clock() - self._measured < _KNOWN_FOR else None

    def sent(self, rate: float) -> None:
        """It took so many bytes in a second, and never had to wait for them."""
        with self._lock:
            known = None if self._is_guess else self.link
            self._link = rate if known is None else (known + rate) / 2
            self._is_guess = False
            self._measured = self._clock()

    def guessed(self, rate: float) -> None:
        """The same, as far as can be said so early."""
        with self._lock:
            if self._is_guess or self.link is None:
                self._link, self._is_guess, self._measured = rate, True, self._clock()

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


def best_level(sample: Sample, link: float, threads: int, compressing: float = 1.0) -> int | None:
    """The level at which chunks get to the other end soonest; None: raw.

    Args:
        link: Bytes a second.
        threads: That compress, while the same cores send.
        compressing: See Rates.
    """
    if sample.ratio > _WORTH:
        return None
    best, fastest = None, link * _FASTER
    for level, (speed, size) in _LEVELS.items():
        ratio = sample.ratio * size
        cores = max(0.5, threads - link * _SENDING)
        rate = min(cores * sample.rate * speed * compressing, link / ratio)
        if rate > fastest:
            best, fastest = level, rate
    return best


class Compression:
    """What a put does to its chunks. Thread-safe.

    Args:
        setting: "none"; a level, for all that shrinks; "auto": as described above.
        rates: Of the back end.
        threads: That compress.
    """

    def __init__(self, setting: Setting, rates: Rates, threads: int) -> None:
        self.setting = check(setting)
        self.rates = rates
        self._threads = threads

    def __repr__(self) -> str:
        return f"<Compression {self.setting!r} [threads: {self._threads} | {self.rates!r}]>"

    @property
    def is_off(self) -> bool:
        """Whether nothing is compressed."""
        return self.setting == "none" or (self.setting == "auto" and not codec.is_available())

    def encode(self, raw: memoryview, item: int, sampling: Sampling) -> tuple[Frame, Buffer]:
        """The frame and the body of a chunk.

        Raises:
            ConfigurationError: A level was asked for, and the package zstandard is not installed.
        """
        level: int | None
        if isinstance(self.setting, int):
            known, level = sampling.of(raw, item), self.setting
        elif self.is_off or (link := self.rates.link) is None:
            return codec.stored(raw)
        else:
            known = sampling.of(raw, item)
            level = best_level(known, link, self._threads, self.rates.compressing)
        if level is None:
            return codec.stored(raw)
        start = time.perf_counter()
        frame, body = codec.compress(raw, item, level, shuffled=known.shuffled)
        sampling.turned_out(frame)
        if level in _LEVELS:
            speed, _ = _LEVELS[level]
            self.rates.compressed(len(raw) / max(time.perf_counter() - start, 1e-9), known.rate * speed)
        return frame, body
