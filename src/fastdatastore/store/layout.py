"""A serializer's buffers become segments, and segments are cut into chunks; no byte of a large buffer is copied."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Protocol

from fastdatastore.store.chunking import FDS_1, MAX_ITEM, Chunking, cut
from fastdatastore.store.placement import MAX_ALIGN, StoredBuffer, is_align, place

# Buffers of this size and more have a segment of their own; smaller ones share the first.
OWN_SEGMENT_FROM = 1 << 20
# A segment is cut so many longest chunks at a time, so that hashing can begin early; fewer, where they are gathered.
_WINDOW_CHUNKS = 4
_GATHERED_CHUNKS = 2


class Source(Protocol):
    """What is known of a buffer that is to be stored; BufferSpec of the serializers is one."""

    @property
    def view(self) -> memoryview: ...
    @property
    def align(self) -> int: ...
    @property
    def item(self) -> int: ...


@dataclass(frozen=True)
class Segment:
    """A run of bytes that is cut into chunks: one large buffer, or all small ones with zero bytes between.

    Attributes:
        item: Cuts are at multiples of it.
        length: Bytes.
        views: The buffers, in order.
        offsets: Of each buffer.
    """

    item: int
    length: int
    views: tuple[memoryview, ...] = field(repr=False)
    offsets: tuple[int, ...] = field(repr=False)

    def read(self, offset: int, length: int) -> memoryview:
        """These bytes: of a large buffer itself, of small ones a copy."""
        if len(self.views) == 1:
            return self.views[0][offset : offset + length]
        end = offset + length
        gathered = memoryview(bytearray(length))
        # From the last buffer that begins at the offset or before it.
        for index in range(max(bisect_right(self.offsets, offset) - 1, 0), len(self.views)):
            start, view = self.offsets[index], self.views[index]
            if start >= end:
                break
            first, last = max(start, offset), min(start + len(view), end)
            if first < last:
                gathered[first - offset : last - offset] = view[first - start : last - start]
        return gathered

    def cut(self, chunking: Chunking = FDS_1) -> Iterator[int]:
        """The lengths of its chunks, in order, looking at some of them at a time."""
        most = (_WINDOW_CHUNKS if len(self.views) == 1 else _GATHERED_CHUNKS) * chunking.maximum
        position = 0
        while position < self.length:
            rest = self.length - position
            if rest <= chunking.minimum:
                yield rest
                return
            window = self.read(position, min(rest, most))
            start = 0
            for length in cut(window, self.item, chunking):
                # The end of the window is no end of the segment: a chunk that may reach it waits for the next one.
                if len(window) < rest and start + chunking.maximum >= len(window):
                    break
                yield length
                start += length
            position += start


@dataclass(frozen=True)
class Layout:
    """Where the bytes of a serialized object go.

    Attributes:
        buffers: In the serializer's order, as the manifest lists them.
        segments: In the manifest's order.
    """

    buffers: tuple[StoredBuffer, ...]
    segments: tuple[Segment, ...]


class Laying:
    """Buffers get their places while they come. Those below OWN_SEGMENT_FROM bytes go into one segment, the first; each
    other one has its own, which is not held here.
    """

    def __init__(self) -> None:
        self._buffers: list[tuple[int, int]] = []  # length and align
        self._small: list[memoryview] = []

    def add(self, source: Source) -> Segment | None:
        """The segment of the next buffer; None if it shares the first one, which comes when all are there.

        Raises:
            ValueError: It is no run of bytes, or its align or item is none. A serializer is wrong then.
        """
        view = source.view
        _check(len(self._buffers), source)
        self._buffers.append((len(view), source.align))
        if len(view) < OWN_SEGMENT_FROM:
            self._small.append(view)
            return None
        return Segment(source.item if source.item <= MAX_ITEM else 1, len(view), (view,), (0,))

    def extend(self, other: Laying) -> None:
        """As if all that went into the other had been added here."""
        self._buffers += other._buffers
        self._small += other._small

    def end(self) -> tuple[tuple[StoredBuffer, ...], Segment | None]:
        """All buffers as the manifest lists them, and the segment of the small ones, if there are any."""
        own = count(1 if self._small else 0)
        buffers = [
            StoredBuffer(length, align, 0 if length < OWN_SEGMENT_FROM else next(own))
            for length, align in self._buffers
        ]
        if not self._small:
            return tuple(buffers), None
        shared = [buffer for buffer in buffers if buffer.length < OWN_SEGMENT_FROM]
        offsets, (length,) = place(shared, 1)
        return tuple(buffers), Segment(1, length or 0, tuple(self._small), tuple(offsets))


def lay_out(sources: Iterable[Source]) -> Layout:
    """The layout of buffers that are all there.

    Raises:
        ValueError: As for Laying.add.
    """
    laying = Laying()
    own = [segment for source in sources if (segment := laying.add(source))]
    buffers, shared = laying.end()
    return Layout(buffers, (shared, *own) if shared else tuple(own))


def _check(number: int, source: Source) -> None:
    view = source.view
    if view.ndim != 1 or view.itemsize != 1 or not view.c_contiguous:
        raise ValueError(
            f"buffer {number} is a view of {view.ndim} dimensions with items of {view.itemsize} bytes; "
            "it must be contiguous bytes: use memoryview(...).cast('B')"
        )
    if not is_align(source.align):
        raise ValueError(f"buffer {number} has align {source.align}; it must be a power of two up to {MAX_ALIGN}")
    if source.item < 1:
        raise ValueError(f"buffer {number} has item {source.item}; it must be 1 or more")
