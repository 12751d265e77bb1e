"""A download held against its object's checksum: what is taken of each piece, and whether all together is right."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from fastdatastore import errors
from fastdatastore.engine import integrity
from fastdatastore.engine.planes.local import local as _native
from fastdatastore.engine.request import Request
from fastdatastore.engine.retry import make_error

if TYPE_CHECKING:
    from fastdatastore._native import Report


class Verification:
    """Of one download.

    Args:
        checked: Compare the bytes with the object's checksum, if there is one.

    Attributes:
        expected: That checksum; None: there is none, or none is looked for.
    """

    def __init__(self, checked: bool) -> None:
        self.expected: integrity.Expected | None = None
        self._checked = checked
        self._algorithm = integrity.PREFERRED
        self._pieces: list[tuple[int, int, int]] = []  # (offset, length, CRC) of what has landed
        self._was_damaged = False

    @property
    def crc(self) -> int:
        """What the data plane is to take of the bytes as they come."""
        return integrity.ALGORITHMS[self._algorithm] if self._checked else _native.NO_CRC

    @property
    def verified_by(self) -> str:
        """What to call it when it has succeeded."""
        return self.expected.source if self.expected else "length"

    def expect(self, headers: Mapping[str, str]) -> None:
        """What the headers of a reply that brings the whole object promise."""
        self.expected = integrity.expected_of(headers) if self._checked else None
        if self.expected:
            self._algorithm = self.expected.algorithm

    def add(self, offset: int, length: int, crc: int) -> None:
        """These bytes have landed."""
        self._pieces.append((offset, length, crc))

    def take(self, content: bytes) -> None:
        """These are all; their CRC has not been taken yet."""
        self._pieces = [(0, len(content), _native.crc(self.crc, content) if self.expected else 0)]

    def damage(self, request: Request, report: Report) -> errors.S3Error | None:
        """The error, if what has landed is not what the object's checksum stands for."""
        expected = self.expected
        if expected is None:
            return None
        got = integrity.combine(self._algorithm, self._pieces)
        if got == expected.value:
            return None
        size = sum(length for _, length, _ in self._pieces)
        message = (
            f"the {size:,} bytes that arrived have the {expected.algorithm} {got:x}, the object has "
            f"{expected.value:x}; they were thrown away"
        )
        return make_error(errors.IntegrityError, message, request, report)

    def begins_anew(self) -> bool:
        """After damage: whether all bytes are to be fetched once more. One that flipped on the way will not again."""
        self._pieces.clear()
        first, self._was_damaged = not self._was_damaged, True
        return first
