"""A serializer's buffers become segments, and segments are cut into chunks; no byte of a large buffer is copied."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from fastdatastore.store.chunking import FDS_1, MAX_ITEM, Chunking, cut
from fastdatastore.store.placement import MAX_ALIGN, StoredBuffer, is_align, place

# Buffers of this size and more have a segment of their own; smaller ones share the first.
OWN_SEGMENT_FROM = 1 << 20
# A segment is cut so many longest chunks at a time: what is gathered for it is bounded, and hashing can begin early.
_WINDOW_CHUNKS = 4


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
        position = 0
        while position < self.length:
            rest = self.length - position
            if rest <= chunking.minimum:
                yield rest
                return
            window = self.read(position, min(rest, _WINDOW_CHUNKS * chunking.maximum))
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


def lay_out(sources: Sequence[Source]) -> Layout:
    """Buffers below OWN_SEGMENT_FROM bytes go into one segment, the first; each other one has its own.

    Raises:
        ValueError: A source is no run of bytes, or its align or item is none. A serializer is wrong then.
    """
    for number, source in enumerate(sources):
        _check(number, source)
    groups: list[list[Source]] = []
    if any(len(source.view) < OWN_SEGMENT_FROM for source in sources):
        groups.append([])
    buffers = []
    for source in sources:
        length = len(source.view)
        if length < OWN_SEGMENT_FROM:
            segment = 0
        else:
            segment = len(groups)
            groups.append([])
        groups[segment].append(source)
        buffers.append(StoredBuffer(length, source.align, segment))
    offsets, lengths = place(buffers, len(groups))
    offsets_of: list[list[int]] = [[] for _ in groups]
    for buffer, offset in zip(buffers, offsets, strict=True):
        offsets_of[buffer.segment].append(offset)
    segments = [
        Segment(_item(group), length or 0, tuple(source.view for source in group), tuple(starts))
        for group, length, starts in zip(groups, lengths, offsets_of, strict=True)
    ]
    return Layout(tuple(buffers), tuple(segments))


def _item(group: list[Source]) -> int:
    """What the cuts of a segment are multiples of."""
    large = len(group[0].view) >= OWN_SEGMENT_FROM
    return group[0].item if large and group[0].item <= MAX_ITEM else 1


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
