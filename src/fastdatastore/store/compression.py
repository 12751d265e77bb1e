"""Whether a chunk is compressed, and how: only where that is faster than to send it as it is.

A sample of each run of chunks says how far they shrink, and how fast. A chunk is compressed if the slower of
compressing and of sending what is left is still clearly faster than sending it raw.
"""

from __future__ import annotations

import time
from typing import Literal, NamedTuple, TypeAlias

from fastdatastore.config import MIB
from fastdatastore.errors import ConfigurationError
from fastdatastore.store import codec
from fastdatastore.store.frame import Frame

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
LEVELS = {1: (1.0, 1.0), 3: (0.5, 0.95)}
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
        rate: Bytes that a thread takes in a second of its own.
        shuffled: By a byte shuffle first.
    """

    ratio: float
    rate: float
    shuffled: bool

    @property
    def is_worth_it(self) -> bool:
        """Whether it shrinks by enough, however slow the link."""
        return self.ratio <= _WORTH


class Sampling:
    """What is known of how the chunks of one segment compress.

    Attributes:
        last: The last sample; None: there is none yet.
    """

    def __init__(self) -> None:
        self.last: Sample | None = None
        self._left = 0

    def of(self, raw: memoryview, item: int) -> Sample:
        """The last sample, or a new one of this chunk."""
        if self.last is None or self._left <= 0:
            self.last, self._left = sample(raw, item), _HOLDS_FOR
        self._left -= len(raw)
        return self.last

    def turned_out(self, frame: Frame) -> None:
        """A whole chunk was compressed."""
        if self.last is not None:
            self.last = self.last._replace(ratio=frame.body / frame.raw)


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
    codec.compress(raw[:item], item, 1, shuffled=shuffled)  # what is done only once is not timed
    start = time.thread_time()  # so that it does not matter who else wants a core
    frame, _ = codec.compress(raw, item, 1, shuffled=shuffled)
    return Sample(frame.body / frame.raw, frame.raw / max(time.thread_time() - start, 1e-9), shuffled)


def best_level(sample: Sample, link: float, threads: int, compressing: float = 1.0) -> int | None:
    """The level at which chunks get to the other end soonest; None: raw.

    Args:
        link: Bytes a second; infinite: unknown.
        threads: That compress, while the same cores send.
        compressing: The rate of whole chunks, for each byte a second of a sample's.
    """
    if not sample.is_worth_it:
        return None
    best, fastest = None, link * _FASTER
    for level, (speed, size) in LEVELS.items():
        ratio = sample.ratio * size
        cores = max(0.5, threads - link * _SENDING)
        rate = min(cores * sample.rate * speed * compressing, link / ratio)
        if rate > fastest:
            best, fastest = level, rate
    return best
