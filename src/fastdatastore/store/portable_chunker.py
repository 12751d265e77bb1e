"""cut() of the native module in Python, for builds without it: some 50 MB/s."""

from __future__ import annotations

from functools import cache
from hashlib import sha256
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing_extensions import Buffer

WINDOW = 64
_WORD = (1 << 64) - 1


@cache
def gear() -> tuple[int, ...]:
    """The 256 numbers of "fds-1"."""
    seed = b"fastdatastore gear 1"
    return tuple(int.from_bytes(sha256(seed + bytes([value])).digest()[:8], "little") for value in range(256))


def cut(data: Buffer, item: int, minimum: int, maximum: int, bits: int) -> list[int]:
    """The lengths of the content-defined chunks of `data`; see native/chunker.h."""
    if not (1 <= item <= minimum and WINDOW <= minimum <= maximum and 1 <= bits <= 64):
        raise ValueError(
            "cut needs 1 <= item <= minimum, 64 <= minimum <= maximum and 1 <= bits <= 64, "
            f"got item {item}, minimum {minimum}, maximum {maximum}, bits {bits}"
        )
    view = memoryview(data).cast("B")
    cuts = [0]
    while cuts[-1] < len(view):
        start = cuts[-1]
        end = _end(view, start + minimum, min(start + maximum, len(view)), 1 << (64 - bits))
        cuts.append(end if end >= len(view) else end - (end - start) % item)
    return [end - start for start, end in pairwise(cuts)]


def _end(view: memoryview, first: int, last: int, bound: int) -> int:
    """The first position of first <= p < last with a hash below the bound, else `last`."""
    if first >= last:
        return last
    numbers = gear()
    value = 0
    for byte in view[first - WINDOW : first]:
        value = (value << 1) + numbers[byte] & _WORD
    for position, byte in enumerate(view[first:last], first):
        if value < bound:
            return position
        value = (value << 1) + numbers[byte] & _WORD
    return last
