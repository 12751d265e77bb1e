"""Recycled memory. A region is a memoryview of an anonymous mapping that the pool keeps and hands out again."""

from __future__ import annotations

import contextlib
import mmap
import sys
from collections import OrderedDict
from collections.abc import Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeAlias, final

from fastdatastore import forks

if TYPE_CHECKING:
    from typing_extensions import Buffer

_SMALL_STEP = 64 << 10
_HUGE_PAGE = 2 << 20
_LOOKED_AT = 64  # regions in use that one take() looks at, of however many there are (5 µs each)

Region: TypeAlias = memoryview
"""What take() returns. Before Python 3.12 a class written in Python cannot export a buffer, so it is the builtin."""


@final
class BufferPool:
    """Recycled, huge-page-advised memory.

    That the last view of a region is gone is noticed by the pool's next call, not at once: Python tells nobody. Until
    then the region is kept, beyond `limit`, too.

    Args:
        limit: Most bytes in flight and kept for the next region; what is in flight may be more.
    """

    def __init__(self, limit: int) -> None:
        if limit < 0:
            raise ValueError(f"limit must be a number of bytes, got {limit}")
        self._limit = limit
        self._lock = forks.lock()
        self._in_flight: dict[int, mmap.mmap] = {}  # by id()
        self._handed: dict[int, mmap.mmap] = {}
        self._free: OrderedDict[int, mmap.mmap] = OrderedDict()  # the newest last
        self._mapped = 0
        self._recycled = 0

    def __repr__(self) -> str:
        state = self.state()
        return (
            f"<BufferPool in use: {state['in_use_bytes']} bytes in {state['in_use_regions']} regions | "
            f"free: {state['free_bytes']} bytes in {state['free_regions']} regions>"
        )

    def take(self, size: int, /) -> Region:
        """Memory of `size` bytes, its contents undefined."""
        if size < 0:
            raise ValueError(f"size must be a number of bytes, got {size}")
        wanted = _round_up(size)
        with self._lock:
            self._reclaim(_LOOKED_AT, _LOOKED_AT)
            memory = self._find_free(wanted)
            if memory is None:
                memory = _map(wanted)
                self._mapped += 1
            else:
                self._recycled += 1
            self._in_flight[id(memory)] = memory
            self._evict(self._limit - _sum(self._in_flight))
            return memoryview(memory)[:size]

    def hand_over(self, region: Region, /) -> None:
        """It is its owner's from now on, and not in flight any more."""
        key = id(region.obj)
        with self._lock:
            if key not in self._in_flight and key not in self._handed:
                raise ValueError(f"{region!r} is no region of this pool")
            if key in self._in_flight:
                self._handed[key] = self._in_flight.pop(key)

    @property
    def in_flight(self) -> int:
        """Bytes of regions in use that have not been handed over."""
        with self._lock:
            self._reclaim(None, _LOOKED_AT)
            return _sum(self._in_flight)

    def trim(self, keep: int = 0, /) -> None:
        """Returns the oldest free regions to the system until `keep` bytes are left."""
        with self._lock:
            self._reclaim(None, _LOOKED_AT if keep else None)
            self._evict(keep)

    def state(self) -> dict[str, int]:
        """Bytes and regions in use and free; how many were ever mapped, and how often one was used again."""
        with self._lock:
            self._reclaim()
            return {
                "in_use_bytes": _sum(self._in_flight) + _sum(self._handed),
                "in_use_regions": len(self._in_flight) + len(self._handed),
                "handed_bytes": _sum(self._handed),
                "free_bytes": _sum(self._free),
                "free_regions": len(self._free),
                "mapped": self._mapped,
                "recycled": self._recycled,
            }

    def _find_free(self, wanted: int) -> mmap.mmap | None:
        """The newest free one (its pages may still be in the cache) that fits without wasting more than a quarter."""
        for key in reversed(self._free):
            if wanted <= len(self._free[key]) <= wanted + wanted // 4:
                return self._free.pop(key)
        return None

    def _reclaim(self, in_flight: int | None = None, handed: int | None = None) -> None:
        """With the lock held: what nobody looks at any more becomes free, the oldest beyond the limit is unmapped.

        So many regions of each kind are looked at; None: all.
        """
        for in_use, most in ((self._in_flight, in_flight), (self._handed, handed)):
            for key in list(islice(in_use, most)):
                memory = in_use.pop(key)
                goes_to = in_use if _is_viewed(memory) else self._free
                goes_to[key] = memory  # the others' turn is next time
        self._evict(self._limit - _sum(self._in_flight))

    def _evict(self, keep: int) -> None:
        free = _sum(self._free)
        while self._free and free > keep:
            memory = self._free.popitem(last=False)[1]
            free -= len(memory)
            memory.close()


def _sum(regions: Mapping[int, mmap.mmap]) -> int:
    return sum(map(len, regions.values()))


def _round_up(size: int) -> int:
    step = _SMALL_STEP if size < _HUGE_PAGE else _HUGE_PAGE
    return max(1, -(-size // step)) * step


def _map(capacity: int) -> mmap.mmap:
    options: dict[str, Any] = {}
    if hasattr(mmap, "MAP_PRIVATE"):  # shared, the default, would let a fork's child write into the parent's results
        options["flags"] = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
    try:
        memory = mmap.mmap(-1, capacity, **options)
    except (OSError, OverflowError):
        raise MemoryError(f"no memory for a region of {capacity:,} bytes") from None
    if capacity >= _HUGE_PAGE and hasattr(mmap, "MADV_HUGEPAGE"):
        with contextlib.suppress(OSError):  # a kernel without huge pages
            memory.madvise(mmap.MADV_HUGEPAGE)
    return memory


def _is_viewed(memory: mmap.mmap) -> bool:
    """Whether anybody looks at a mapping, or holds it, besides the caller's one variable.

    It refuses to be resized while it is exported; to the size that it has, nothing else comes of it. But an array made
    by numpy.ndarray(…, buffer=view) lets go of the view and holds on to what that was a view of, the mapping itself.
    """
    if sys.getrefcount(memory) > _REFERENCES:
        return True
    try:
        memory.resize(len(memory))
    except BufferError:
        return True
    except (SystemError, OSError, TypeError, ValueError):  # a system that cannot resize at all says so after that
        return False
    return False


def _references(memory: object) -> int:
    """How many there are to what only one variable of the caller's holds: that differs from Python to Python."""
    return sys.getrefcount(memory)


def _count_references() -> int:
    memory = object()
    return _references(memory)


_REFERENCES = _count_references()


def to_bytes(data: Buffer, /) -> bytes:
    """A copy of the bytes."""
    return bytes(data)
