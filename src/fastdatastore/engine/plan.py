"""How an object is cut into parts."""

from __future__ import annotations

from fastdatastore.config import MIB
from fastdatastore.engine.endpoints import Limits

# "Amazon S3 multipart upload limits", Amazon S3 user guide.
MAX_PARTS = 10_000
MAX_PART = 5 << 30
MAX_OBJECT = 5 << 40
PAGE = 4096

# The parts of a stream grow in so many steps; between two of them recycled memory fits the next part.
STREAM_STEPS = 100


def part_size_for(size: int, preferred: int, max_parts: int = MAX_PARTS) -> int:
    """Bytes of each part but the last: `preferred`, or what keeps an object of `size` bytes within `max_parts`."""
    if size <= preferred * max_parts:
        return preferred
    least = -(-size // max_parts)
    return -(-least // MIB) * MIB


def stream_part_size(number: int, preferred: int, limits: Limits) -> int:
    """Bytes of part `number` (from 1) of a stream, whose end is not known.

    In step s = 0 … 99, of a hundredth of the parts each, it is preferred + s² / 6 MiB, so 10,000 parts hold more than
    100 · Σ s²/6 = 100 · 328,350 / 6 MiB = 5.2 TiB. Growing by the square keeps what must be held in memory small for
    the streams that there are: with 8 MiB preferred, a part at 10 GiB has 18 MiB, at 100 GiB 112, at 5 TiB 1.6 GiB (in
    10,000 equal parts the first would have 525). Where fewer parts are allowed it grows the faster; no part exceeds
    5 GiB.
    """
    if limits.equal_parts:
        return preferred
    step = (number - 1) * STREAM_STEPS // limits.max_parts
    return min(preferred + step * step * MAX_PARTS // (6 * limits.max_parts) * MIB, MAX_PART)


def in_whole_rounds(size: int, preferred: int, streams: int) -> int:
    """The part size, from `preferred` to twice that, by which `streams` at a time take whole rounds for `size` bytes.

    Where the last round is not full the link idles: 1 GiB up, in parts of 8 MiB and 81 at a time, is one full round and
    one of 47, which takes 13 % longer than one round of 81 parts of 12.6 MiB (measured at 10 Gbit/s). What fits one
    round anyhow is cut as preferred.
    """
    rounds = size // (preferred * streams)
    if not rounds:
        return preferred
    exact = -(-size // (rounds * streams))
    return min(-(-exact // PAGE) * PAGE, MAX_PART)


def parts(start: int, end: int, part_size: int) -> list[tuple[int, int]]:
    """(offset, length) of the parts of the bytes from `start` up to `end`."""
    return [(at, min(part_size, end - at)) for at in range(start, end, part_size)]
