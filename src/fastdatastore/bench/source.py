"""The bytes that are uploaded: pseudo-random, the same in every run, different in every object."""

from __future__ import annotations

import random

from fastdatastore.bench.workloads import Workload
from fastdatastore.engine.planes.local import local as _native

SEED = 20251122
# The pattern's period shares no factor with any part size, so no two parts of an object are alike: parts that were
# mixed up would show.
PERIOD = (16 << 20) - 4099
# Objects are cut out of this much memory; it is larger than a processor's caches, which would flatter an upload.
SPREAD_BYTES = 256 << 20
_ALIGNMENT = 64


class Source:
    """The content of a workload's objects, in recycled memory.

    Args:
        pool: Where the memory is taken, and given back when the source is dropped.
    """

    def __init__(self, pool: _native.BufferPool, workload: Workload) -> None:
        size = workload.object_size
        room = max(size, min(workload.total + _ALIGNMENT * workload.count, SPREAD_BYTES))
        self._size = size
        self._view = memoryview(pool.take(room))
        block = random.Random(SEED).randbytes(min(room, PERIOD))
        for at in range(0, room, len(block)):
            length = min(len(block), room - at)
            self._view[at : at + length] = block[:length] if length < len(block) else block
        self._stride = size // _ALIGNMENT + 1
        self._starts = (room - size) // _ALIGNMENT + 1

    def content(self, number: int) -> memoryview:
        """The bytes of object `number`."""
        start = number * self._stride % self._starts * _ALIGNMENT
        return self._view[start : start + self._size].toreadonly()

    def crc(self, number: int) -> int:
        """The CRC-64/NVME of object `number`."""
        return _native.crc(_native.CRC64NVME, self.content(number))
