"""A chunk on its way in: received where it belongs, or into a body that is expanded there; then verified."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastdatastore.engine import process
from fastdatastore.errors import FormatError
from fastdatastore.store import codec, frame, ref
from fastdatastore.store.backends.base import Read
from fastdatastore.store.get.artifact import Artifact, verify
from fastdatastore.store.manifest import Chunk

if TYPE_CHECKING:
    from typing_extensions import Buffer


class Incoming:
    """A chunk that artifacts have in one place or in many: read once, and copied to the others.

    Attributes:
        owners: Of its places, one each.
        reserved: Bytes besides its places that it may take: for a body, and for what a shuffle is undone in.
    """

    def __init__(self, chunk: Chunk) -> None:
        self.chunk = chunk
        self.owners: list[Artifact] = []
        self.reserved = 2 * chunk.length
        self._places: list[memoryview] = []
        self._header = bytearray(frame.SIZE)
        self._body: memoryview | None = None

    def __repr__(self) -> str:
        return f"<Incoming {self.chunk.digest} | {len(self._places)} places>"

    def add(self, owner: Artifact, place: memoryview) -> None:
        """One more place; until it has arrived."""
        self.owners.append(owner)
        self._places.append(place)

    @property
    def is_wanted(self) -> bool:
        """Somebody still waits for it."""
        return not all(owner.has_ended for owner in self.owners)

    def room(self, size: int) -> tuple[Buffer, ...]:
        """Where its object of `size` bytes goes; asked again when another object of other bytes has replaced that one.

        Raises:
            FormatError: That of a chunk of this length has fewer, or more.
        """
        length = size - frame.SIZE
        if not 0 < length <= self.chunk.length:
            least, most = frame.SIZE + 1, frame.SIZE + self.chunk.length
            raise _broken(f"its object has {size} bytes; that of a chunk of {self.chunk.length} has {least} to {most}")
        if length == self.chunk.length:  # it is not compressed, or it would be shorter
            self.reserved, self._body = 0, None
            return self._header, self._places[0]
        self.reserved = 2 * self.chunk.length
        self._body = memoryview(process.buffer_pool().take(length))
        return self._header, self._body

    def unpack(self) -> None:
        """Fills all its places, once it has arrived and is verified. For any one thread.

        Raises:
            FormatError, Differs: They hold nothing of worth.
        """
        first, *others = self._places
        found = frame.decode(self._header, self.chunk.digest, self.chunk.length)
        received = first if self._body is None else self._body
        if found.body != len(received):
            raise _broken(f"its body has {len(received)} bytes; its frame says {found.body}")
        if self._body is not None:
            codec.expand(found, self._body, first)
        verify(first, self.chunk)
        for place in others:
            place[:] = first

    def let_go(self) -> None:
        """Keeps no memory any more."""
        self.owners, self._places, self._body = [], [], None


class IncomingRead(Read):
    """The read of a chunk's object."""

    def __init__(self, incoming: Incoming) -> None:
        super().__init__(ref.chunk_name(incoming.chunk.digest), incoming.room)
        self.incoming = incoming


def _broken(reason: str) -> FormatError:
    return FormatError(reason, place="a chunk")  # whose, the artifact says
