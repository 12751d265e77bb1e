"""What is moved: so many objects of such a size."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from fastdatastore.bench.sizes import format_size

# Objects are measured in rounds of at most this many bytes (or one object). Between rounds the clock stands still while
# what has come is checked and its memory given back, so that a run of any length needs no more memory than this.
ROUND_BYTES = 1 << 30


class Operation(StrEnum):
    """What is measured."""

    PUT = "put"
    GET = "get"


@dataclass(frozen=True)
class Workload:
    """`count` objects of `object_size` bytes each."""

    count: int
    object_size: int

    def __str__(self) -> str:
        return f"{self.count:,} \N{MULTIPLICATION SIGN} {format_size(self.object_size)}"

    @property
    def name(self) -> str:
        """The same in ASCII without spaces, such as "64x4MiB"."""
        return f"{self.count}x{format_size(self.object_size)}".replace(" ", "")

    @property
    def total(self) -> int:
        """Bytes of all objects."""
        return self.count * self.object_size

    @property
    def rounds(self) -> list[range]:
        """The numbers of the objects, round by round."""
        step = max(1, ROUND_BYTES // self.object_size)
        return [range(first, min(first + step, self.count)) for first in range(0, self.count, step)]

    @property
    def most_at_once(self) -> int:
        """Bytes of the largest round: what has to fit into memory."""
        return max(len(numbers) for numbers in self.rounds) * self.object_size

    def key(self, prefix: str, number: int) -> str:
        """Of object `number`. It ends in ".<bytes>", from which the null server knows an object's size."""
        return f"{prefix}{self.count}x{self.object_size}/{number:07d}.{self.object_size}"


MAIN_JOB = (Workload(1, 512 << 20), Workload(64, 4 << 20), Workload(1000, 16 << 10))
"""One big result, a sharded one, and many small ones."""
