"""shuffle() and unshuffle() of the native module in Python, for builds without it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing_extensions import Buffer


def shuffle(source: Buffer, target: Buffer, item: int, /) -> None:
    """The first bytes of all items, then the second ones, and so on."""
    from_, to, items = _views(source, target, item)
    for index in range(item):
        to[index * items : (index + 1) * items] = from_[index : items * item : item]
    to[items * item :] = from_[items * item :]


def unshuffle(source: Buffer, target: Buffer, item: int, /) -> None:
    """Undoes shuffle()."""
    from_, to, items = _views(source, target, item)
    for index in range(item):
        to[index : items * item : item] = from_[index * items : (index + 1) * items]
    to[items * item :] = from_[items * item :]


def _views(source: Buffer, target: Buffer, item: int) -> tuple[memoryview, memoryview, int]:
    from_, to = memoryview(source).cast("B"), memoryview(target).cast("B")
    if not 2 <= item <= 255:
        raise ValueError(f"item must be 2 to 255, got {item}")
    if len(from_) != len(to):
        raise ValueError(f"source and target must be two buffers of one size, got {len(from_)} and {len(to)} bytes")
    return from_, to, len(from_) // item
