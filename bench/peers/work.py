"""The work: what is moved. Imported by the parent and, in its own environment, by each client's process."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Verb = Literal["get", "put", "list"]
TRANSFERS: tuple[Verb, ...] = ("get", "put")
BUCKET = "bench"
LISTED = "listed"
"""The prefix, without its slash, below which there are the keys to list."""
KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30


@dataclass(frozen=True)
class Work:
    """`count` objects of `size` bytes each, in one go.

    Attributes:
        verb: "get" into memory (or a file, where a client can do no other), "put" from there; "list" their keys.
    """

    verb: Verb
    count: int
    size: int

    @property
    def total(self) -> int:
        """All bytes."""
        return self.count * self.size

    @property
    def is_small(self) -> bool:
        """Whether the cost of a request, not that of its bytes, is what is measured."""
        return self.size < MIB

    @property
    def keys(self) -> Sequence[str]:
        """The number after the last dot tells the null server how large the object is."""
        if self.verb == "list":  # 1,000 to a directory, as partitions of a dataset
            return [f"{LISTED}/{index // 1000:03}/part-{index % 1000:05}.{self.size}" for index in range(self.count)]
        return [f"{self.verb}-{index}.{self.size}" for index in range(self.count)]

    def __str__(self) -> str:
        if self.verb == "list":
            return f"LIST {self.count:,} keys"
        objects = "" if self.count == 1 else f"{self.count:,} x "
        return f"{self.verb.upper()} {objects}{_readable(self.size)}"


def _readable(size: int) -> str:
    for unit, name in ((GIB, "GiB"), (MIB, "MiB"), (KIB, "KiB")):
        if size % unit == 0:
            return f"{size // unit} {name}"
    return f"{size} B"


FULL = {
    **{
        f"{verb}-{name}": Work(verb, count, size)
        for name, count, size in (("1x1GiB", 1, GIB), ("256x4MiB", 256, 4 * MIB), ("2000x16KiB", 2000, 16 * KIB))
        for verb in TRANSFERS
    },
    "list-100000": Work("list", 100_000, 16),
}
QUICK = {
    **{
        f"{verb}-{name}": Work(verb, count, size)
        for name, count, size in (("1x64MiB", 1, 64 * MIB), ("16x4MiB", 16, 4 * MIB), ("200x16KiB", 200, 16 * KIB))
        for verb in TRANSFERS
    },
    "list-2500": Work("list", 2500, 16),
}
