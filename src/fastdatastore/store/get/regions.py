"""Memory for the segments of an artifact: one region for each, recycled when the last array over it is gone."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Sequence

from fastdatastore.config import KIB
from fastdatastore.engine import process
from fastdatastore.store.manifest import Chunk, Manifest
from fastdatastore.store.serializers.base import ALIGNMENT

# A region of the pool takes at least so much; smaller segments come from the heap.
_POOLED_FROM = 64 * KIB


def take(manifest: Manifest) -> list[memoryview]:
    """A writable region for each segment; what it holds is undefined.

    They are the caller's own from the start: a result is never waited for, so it counts as nothing in flight.

    Raises:
        MemoryError: There is not so much.
    """
    aligns = [ALIGNMENT] * len(manifest.segments)
    for buffer in manifest.buffers:
        aligns[buffer.segment] = max(aligns[buffer.segment], buffer.align)
    return [_region(segment.length, align) for segment, align in zip(manifest.segments, aligns, strict=True)]


def _region(length: int, align: int) -> memoryview:
    if length >= _POOLED_FROM:
        pool = process.buffer_pool()
        region = pool.take(length)
        pool.hand_over(region)
        return memoryview(region)  # it begins with a page, and no align is larger
    room = bytearray(length + align)
    address = ctypes.addressof(ctypes.c_char.from_buffer(room))
    return memoryview(room)[-address % align :][:length]


def places(manifest: Manifest, segments: Sequence[memoryview]) -> Iterator[tuple[Chunk, memoryview]]:
    """Where each chunk of each segment belongs, in order."""
    for stored, segment in zip(manifest.segments, segments, strict=True):
        start = 0
        for chunk in stored.chunks:
            yield chunk, segment[start : start + chunk.length]
            start += chunk.length


def buffers(manifest: Manifest, segments: Sequence[memoryview]) -> list[memoryview]:
    """The serializer's buffers, in its order."""
    return [
        segments[buffer.segment][offset : offset + buffer.length]
        for buffer, offset in zip(manifest.buffers, manifest.offsets, strict=True)
    ]
