"""Where a segment is cut into chunks: the chunking "fds-1" of docs/format.md."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing_extensions import Buffer

try:
    from fastdatastore._native import cut as _cut
except ImportError:  # built without it: slow, but cut at the same places
    from fastdatastore.store.portable_chunker import cut as _cut

# A serializer's item beyond this counts as 1: it would take too much from a chunk.
MAX_ITEM = 64 << 10


@dataclass(frozen=True)
class Chunking:
    """How content-defined chunks are cut.

    Attributes:
        minimum: Bytes below which no chunk ends, but for the last of a segment and for what its item takes away.
        maximum: Bytes at which every chunk ends.
        bits: Highest bits of the gear hash that are zero at a cut: expected after 2^bits bytes beyond the minimum.
    """

    minimum: int
    maximum: int
    bits: int

    @property
    def average(self) -> int:
        """The expected length of a chunk in bytes, the maximum aside."""
        return self.minimum + (1 << self.bits)


FDS_1 = Chunking(minimum=6 << 20, maximum=16 << 20, bits=21)


def cut(data: Buffer, item: int = 1, chunking: Chunking = FDS_1) -> list[int]:
    """The lengths of the chunks of a segment, in order.

    Where a chunk ends depends on its own bytes alone: data[sum of some lengths:] has the other lengths.

    Args:
        data: The whole segment, contiguous.
        item: Chunks are cut at multiples of so many bytes, 1 to the chunking's minimum.
        chunking: Another than the format's is for tests.

    Raises:
        ValueError: The item or the chunking makes no sense.
    """
    return _cut(data, item, chunking.minimum, chunking.maximum, chunking.bits)
