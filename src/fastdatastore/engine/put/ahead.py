"""The CRC of everything before anything is sent, for a server that keeps no checksums."""

from __future__ import annotations

from fastdatastore.config import MIB
from fastdatastore.engine.put.upload import CRC
from fastdatastore.engine.sources import Source, crc_of

# As much as a part, so that it takes no more memory, and holds up others no longer, than the parts that follow.
_STEP = 8 * MIB


class CrcAhead:
    """Reads a source from its start to its end, in short steps.

    Attributes:
        crc: Of what has been read so far.
    """

    def __init__(self, source: Source) -> None:
        self.crc = 0
        self._source = source
        self._offset = 0

    @property
    def _next_length(self) -> int:
        return min(_STEP, self._source.size - self._offset)

    @property
    def is_complete(self) -> bool:
        return self._offset == self._source.size

    def need(self) -> int:
        """Bytes of the pool that step() takes."""
        return 0 if self._source.in_place else self._next_length

    def step(self) -> None:
        length = self._next_length
        self.crc = crc_of(CRC, self._source.part(self._offset, length), self.crc)
        self._offset += length
