"""How an object is cut into parts."""

from __future__ import annotations

from fastdatastore.config import MIB

# "Amazon S3 multipart upload limits", Amazon S3 user guide.
MAX_PARTS = 10_000
MAX_OBJECT = 5 << 40
PAGE = 4096


def part_size_for(size: int, preferred: int) -> int:
    """Bytes of each part but the last: `preferred`, or what keeps an object of `size` bytes within 10,000 parts."""
    if size <= preferred * MAX_PARTS:
        return preferred
    least = -(-size // MAX_PARTS)
    return -(-least // MIB) * MIB


def in_whole_rounds(size: int, preferred: int, streams: int) -> int:
    """The part size, from `preferred` to twice that, by which `streams` at a time take whole rounds for `size` bytes.

    Where the last round is not full the link idles: 1 GiB up, in parts of 8 MiB and 81 at a time, is one full round and
    one of 47, which took 14 % longer than one round of 81 parts of 12.6 MiB. What fits one round anyhow is cut as
    preferred.
    """
    rounds = size // (preferred * streams)
    if not rounds:
        return preferred
    exact = -(-size // (rounds * streams))
    return -(-exact // PAGE) * PAGE


def parts(start: int, end: int, part_size: int) -> list[tuple[int, int]]:
    """(offset, length) of the parts of the bytes from `start` up to `end`."""
    return [(at, min(part_size, end - at)) for at in range(start, end, part_size)]
