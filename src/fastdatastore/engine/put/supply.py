"""The parts of a multipart upload, one after the other: of a source that can be read again, or of a stream."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from fastdatastore import errors
from fastdatastore.engine import plan
from fastdatastore.engine.endpoints import Limits
from fastdatastore.engine.put.ahead import CrcAhead
from fastdatastore.engine.sources import Source
from fastdatastore.engine.streams import Stream

if TYPE_CHECKING:
    from fastdatastore.engine.bytesview import Buffers


@dataclass(frozen=True, slots=True)
class Part:
    """One part that is to be sent; `number` counts from 1."""

    number: int
    body: Buffers


class Supply(Protocol):
    """Where the parts come from.

    Attributes:
        size: Bytes of all parts; of a stream, those that have been read so far.
        can_be_read_again: From the start, for an upload that has to be begun anew.
    """

    can_be_read_again: bool
    size: int

    @property
    def is_exhausted(self) -> bool:
        """The last part has been given out, as far as is known."""

    def need(self) -> int:
        """Bytes of the pool that next_part() takes."""

    def next_part(self) -> Part | None:
        """The next one; None when there is none."""

    def crc_ahead(self) -> CrcAhead | None:
        """The CRC of everything, to be taken before a part is sent; None of what can be read but once."""

    def check_unchanged(self) -> None:
        """Raises SourceChanged if the parts are not all of one and the same source."""


class SourceSupply:
    """Parts of equal size, but the last.

    Args:
        there: Numbers of the parts that are stored already.
    """

    can_be_read_again = True

    def __init__(self, source: Source, part_size: int, there: Container[int] = ()) -> None:
        self.size = source.size
        self._source = source
        cuts = enumerate(plan.parts(0, source.size, part_size), 1)
        self._todo = [(number, *cut) for number, cut in cuts if number not in there][::-1]

    @property
    def is_exhausted(self) -> bool:
        return not self._todo

    def need(self) -> int:
        return self._todo[-1][2] if self._todo and not self._source.in_place else 0

    def next_part(self) -> Part | None:
        if not self._todo:
            return None
        number, offset, length = self._todo.pop()
        return Part(number, self._source.part(offset, length))

    def crc_ahead(self) -> CrcAhead | None:
        return CrcAhead(self._source)

    def check_unchanged(self) -> None:
        self._source.check_unchanged()


class StreamSupply:
    """Parts that grow, see plan.stream_part_size; each block is kept until it is acknowledged, to be sent again.

    Args:
        head: What has been read of the stream already: its first two parts.
    """

    can_be_read_again = False

    def __init__(self, stream: Stream, head: memoryview, part_size: int, limits: Limits) -> None:
        self.size = 0
        self.is_exhausted = False
        self._stream = stream
        self._head = head
        self._part_size = part_size
        self._limits = limits
        self._number = 0

    @property
    def _next_length(self) -> int:
        return plan.stream_part_size(self._number + 1, self._part_size, self._limits)

    def need(self) -> int:
        return 0 if self.is_exhausted or self._head else self._next_length

    def next_part(self) -> Part | None:
        if self.is_exhausted:
            return None
        length = self._next_length
        body: memoryview
        if self._head:
            body, self._head = self._head[:length], self._head[length:]
        else:
            body = self._stream.read(length)
        if not body:
            self.is_exhausted = True
            return None
        self._number += 1
        self.size += body.nbytes
        if self._number > self._limits.max_parts or self.size > plan.MAX_OBJECT:
            raise errors.ConfigurationError(
                f"the stream is longer than an upload can be here: {self.size:,} bytes have come, in "
                f"{self._number:,} parts; raise FDS_PART_SIZE, or store it as several objects"
            )
        return Part(self._number, body)

    def crc_ahead(self) -> CrcAhead | None:
        return None

    def check_unchanged(self) -> None:
        """What has been read once cannot change."""
