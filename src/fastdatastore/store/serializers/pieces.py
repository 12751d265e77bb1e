"""A pickle in pieces: written without ever being joined, read as one stream."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastdatastore.config import MIB

# The store cuts within a buffer where contents say so, and always at its end: small blocks would cut more often.
_BLOCK = 16 * MIB
# What the pickler hands over in one piece and is at least as large, such as bytes, is kept as it is.
_KEPT = MIB


class PieceWriter:
    """A file that a pickler writes to; where its pieces end depends on nothing but what is written.

    Args:
        take: Is given each piece when it is full, and whether it is a copy of what was written.

    Attributes:
        taken: How many it was given.
    """

    def __init__(self, take: Callable[[memoryview, bool], None]) -> None:
        self.taken = 0
        self._take = take
        self._waiting: list[bytes | memoryview] = []
        self._size = 0

    def write(self, data: Any) -> int:
        size = len(data)
        if size >= _KEPT and type(data) in (bytes, bytearray):
            if self._size:
                self._hand_on(self.rest(), is_copy=True)
            self._hand_on(memoryview(data), is_copy=False)
            return size
        self._waiting.append(bytes(data))
        self._size += size
        while self._size >= _BLOCK:
            block = memoryview(b"".join(self._waiting))
            self._waiting = [block[_BLOCK:]]
            self._size -= _BLOCK
            self._hand_on(block[:_BLOCK], is_copy=True)
        return size

    def rest(self) -> memoryview:
        """What was written behind the last piece; it is the caller's from now on."""
        rest = memoryview(b"".join(self._waiting))
        self._waiting = []
        self._size = 0
        return rest

    def _hand_on(self, piece: memoryview, *, is_copy: bool) -> None:
        self.taken += 1
        self._take(piece, is_copy)


class PieceReader:
    """The pieces as the file that an unpickler reads."""

    def __init__(self, pieces: list[memoryview]) -> None:
        self._pieces = pieces
        self._index = 0
        self._offset = 0

    def readinto(self, target: Any) -> int:
        """Fills the target, or as much of it as there still is."""
        target = memoryview(target)
        done = 0
        while done < target.nbytes and self._index < len(self._pieces):
            part = self._pieces[self._index][self._offset : self._offset + target.nbytes - done]
            target[done : done + part.nbytes] = part
            done += part.nbytes
            self._offset += part.nbytes
            if self._offset == self._pieces[self._index].nbytes:
                self._index += 1
                self._offset = 0
        return done

    def read(self, size: int) -> bytes:
        if self._index < len(self._pieces):
            piece, end = self._pieces[self._index], self._offset + size
            if end < piece.nbytes:
                part = bytes(piece[self._offset : end])
                self._offset = end
                return part
        data = bytearray(min(size, sum(piece.nbytes for piece in self._pieces[self._index :])))
        return bytes(data[: self.readinto(data)])

    def readline(self) -> bytes:
        """Only opcodes of old protocols have lines."""
        line = bytearray()
        while byte := self.read(1):
            line += byte
            if byte == b"\n":
                break
        return bytes(line)
