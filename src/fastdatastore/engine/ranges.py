"""Ranges of an object: which bytes are asked for, and which a reply says that it brings."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fastdatastore._native import Report

_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")


@dataclass(frozen=True)
class ByteRange:
    """Which bytes of an object: from `offset`, `length` of them (None: to its end); or its last `suffix` ones."""

    offset: int = 0
    length: int | None = None
    suffix: int | None = None

    def header(self) -> str:
        if self.suffix is not None:
            return f"bytes=-{self.suffix}"
        last = "" if self.length is None else str(self.offset + self.length - 1)
        return f"bytes={self.offset}-{last}"

    def within(self, size: int) -> tuple[int, int]:
        """(offset, length) of it in an object of `size` bytes."""
        if self.suffix is not None:
            return max(0, size - self.suffix), min(self.suffix, size)
        left = max(0, size - self.offset)
        return self.offset, left if self.length is None else min(self.length, left)


def span_of(report: Report) -> tuple[int, int, int] | None:
    """(offset, length, bytes of the whole object) of a 206, as its Content-Range has it; None of any other reply."""
    match = _CONTENT_RANGE.fullmatch(report.headers.get("content-range", "")) if report.status == 206 else None
    return (int(match[1]), int(match[2]) - int(match[1]) + 1, int(match[3])) if match else None
