"""What a put does to its chunks."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from fastdatastore.store import codec
from fastdatastore.store.compression import LEVELS, Sample, Sampling, Setting, best_level, check
from fastdatastore.store.frame import Frame
from fastdatastore.store.put.meter import Meter

if TYPE_CHECKING:
    from typing_extensions import Buffer

# Bytes a second that no thread compresses: where the link is faster than all of them, no sample need be taken.
_BEYOND = 2e9
# Seconds in which a back end that has enough to do shows that it is fast.
_PATIENCE = 0.1


class Compression:
    """Thread-safe.

    Args:
        setting: "none"; a level, for all that shrinks; "auto": where that is faster than to send it raw.
        meter: Of the same put.
        threads: That compress.
    """

    def __init__(self, setting: Setting, meter: Meter, threads: int) -> None:
        self.setting = check(setting)
        self.meter = meter
        self._threads = threads

    def __repr__(self) -> str:
        return f"<Compression {self.setting!r} [threads: {self._threads} | {self.meter!r}]>"

    @property
    def is_off(self) -> bool:
        """Whether nothing is compressed."""
        return self.setting == "none" or (self.setting == "auto" and not codec.is_available())

    def look_at(self, raw: memoryview, item: int, sampling: Sampling) -> None:
        """Takes the first sample of a segment as soon as it matters whether its chunks shrink."""
        if self.setting == "auto" and not self.is_off and sampling.last is None and self.meter.is_fed:
            sampling.of(raw, item)

    def waits(self, sampling: Sampling) -> bool:
        """Whether a chunk that shrinks had better wait a moment, in which a fast link shows what it is."""
        known = sampling.last
        if self.setting != "auto" or known is None or not known.is_worth_it or not self.meter.is_fed:
            return False
        return self._best_level(known) is None

    def level(self, raw: memoryview, item: int, sampling: Sampling) -> int | None:
        """That of zstd at which a chunk is compressed; None: not at all."""
        if isinstance(self.setting, int):
            sampling.of(raw, item)
            return self.setting
        if self.is_off or (self.meter.link > _BEYOND * self._threads and not self.meter.is_fed):
            return None
        return self._best_level(sampling.of(raw, item))

    def _best_level(self, known: Sample) -> int | None:
        meter = self.meter
        level = best_level(known, meter.link, self._threads, meter.rates.compressing)
        if level is None and known.is_worth_it and meter.is_fed and meter.silence > _PATIENCE:
            return min(LEVELS)  # the cores would idle
        return level

    def encode(self, raw: memoryview, item: int, sampling: Sampling) -> tuple[Frame, Buffer]:
        """The frame and the body of a chunk, at once.

        Raises:
            ConfigurationError: A level was asked for, and the package zstandard is not installed.
        """
        level = self.level(raw, item, sampling)
        if level is None:
            return codec.stored(raw)
        known = sampling.last
        assert known is not None
        start = time.perf_counter()
        frame, body = codec.compress(raw, item, level, shuffled=known.shuffled)
        sampling.turned_out(frame)
        if level in LEVELS:
            speed, _ = LEVELS[level]
            self.meter.rates.compressed(len(raw) / max(time.perf_counter() - start, 1e-9), known.rate * speed)
        return frame, body
