"""Where the buffers of an artifact lie in its segments: plain arithmetic, the same for writers and readers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

MAX_ALIGN = 4096


class StoredBuffer(NamedTuple):
    """One buffer of a serializer, as a manifest lists it.

    Attributes:
        length: Bytes.
        align: Its offset in the segment is a multiple of it: a power of two up to MAX_ALIGN.
        segment: Index of the segment that holds it.
    """

    length: int
    align: int
    segment: int


def is_align(number: int) -> bool:
    """Whether it is an alignment that the format knows."""
    return 1 <= number <= MAX_ALIGN and number & (number - 1) == 0


def place(buffers: Sequence[StoredBuffer], segments: int) -> tuple[list[int], list[int | None]]:
    """The offset of each buffer in its segment, and the length of each segment: None for one without a buffer.

    A segment holds its buffers in order, each at the next multiple of its align, and ends with the last of them.
    """
    offsets = []
    lengths: list[int | None] = [None] * segments
    for length, align, segment in buffers:
        offset = -(-(lengths[segment] or 0) // align) * align
        offsets.append(offset)
        lengths[segment] = offset + length
    return offsets, lengths
