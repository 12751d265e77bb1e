"""How an object is cut into parts."""

from __future__ import annotations

from fastdatastore.config import MIB

# "Amazon S3 multipart upload limits", Amazon S3 user guide.
MAX_PARTS = 10_000
MAX_OBJECT = 5 << 40


def part_size_for(size: int, preferred: int) -> int:
    """Bytes of each part but the last: `preferred`, or what keeps an object of `size` bytes within 10,000 parts."""
    if size <= preferred * MAX_PARTS:
        return preferred
    least = -(-size // MAX_PARTS)
    return -(-least // MIB) * MIB


def parts(start: int, end: int, part_size: int) -> list[tuple[int, int]]:
    """(offset, length) of the parts of the bytes from `start` up to `end`."""
    return [(at, min(part_size, end - at)) for at in range(start, end, part_size)]
