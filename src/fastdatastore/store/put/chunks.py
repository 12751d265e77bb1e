"""The chunks that a put wants in the store: asked for, encoded and made ready to be sent, each once."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Protocol

from fastdatastore.errors import SerializationError
from fastdatastore.store import codec, frame, ref
from fastdatastore.store.backends.base import Found
from fastdatastore.store.frame import Codec, Frame
from fastdatastore.store.manifest import Chunk
from fastdatastore.store.put.artifact import Artifact
from fastdatastore.store.put.clerk import Clerk, Inquiry
from fastdatastore.store.put.compressing import Compression
from fastdatastore.store.put.outline import Piece
from fastdatastore.store.put.room import Room
from fastdatastore.store.put.writes import ChunkWrite
from fastdatastore.store.workers import Workers

if TYPE_CHECKING:
    from typing_extensions import Buffer

# Names that are asked for at once.
_MOST_ASKED = 1000


class Listener(Protocol):
    """Hears of an artifact."""

    def on_chunk(self, artifact: Artifact, error: Exception | None) -> None:
        """One of the chunks that it wanted is stored, or cannot be."""


class Chunks:
    """Of one put, and for its thread only; what other threads find is posted there.

    Attributes:
        ready: What the back end is to store.
    """

    def __init__(
        self,
        clerk: Clerk,
        workers: Workers,
        room: Room,
        compression: Compression,
        post: Callable[[Callable[[], None]], None],
        listener: Listener,
    ) -> None:
        self.ready: deque[ChunkWrite] = deque()
        self._clerk = clerk
        self._workers = workers
        self._room = room
        self._compression = compression
        self._post = post
        self._listener = listener
        self._waiting: dict[str, list[Artifact]] = {}  # for a chunk that is not stored yet, by its digest
        self._stored: set[str] = set()  # digests
        self._to_ask: list[Piece] = []
        self._to_encode: deque[Piece] = deque()
        self._encoding = 0

    def __repr__(self) -> str:
        return (
            f"<Chunks [{len(self._stored)} stored | {len(self._waiting)} wanted, of which {len(self._to_ask)} to be "
            f"asked for, {len(self._to_encode) + self._encoding} to be encoded, {len(self.ready)} ready]>"
        )

    @property
    def is_encoding(self) -> bool:
        """Whether workers have something to do."""
        return self._encoding > 0

    def want(self, artifact: Artifact, *pieces: Piece) -> None:
        """They have to be stored before the artifact's manifest is."""
        for piece in pieces:
            digest = piece.chunk.digest
            if digest in self._stored:
                artifact.settled += piece.chunk.length
                self.let_go(piece)
                continue
            artifact.missing += 1
            if digest in self._waiting:
                self._waiting[digest].append(artifact)
                self.let_go(piece)
            else:
                self._waiting[digest] = [artifact]
                self._to_ask.append(piece)

    def let_go(self, *pieces: Piece) -> None:
        """Their memory is needed no more."""
        self._room.give(sum(map(_held, pieces)))

    def ended(self, write: ChunkWrite) -> None:
        """The back end has handed it back."""
        error = write.error
        if error is None and write.users is not None:
            error = _change_of(write.users)
        self._settle(write.chunk, write.held, error)

    def move_on(self) -> None:
        """Asks for what is wanted, and has encoded what is missing, a little ahead of what is sent."""
        while self._to_ask:
            pieces, self._to_ask = self._to_ask[:_MOST_ASKED], self._to_ask[_MOST_ASKED:]
            names = tuple(ref.chunk_name(piece.chunk.digest) for piece in pieces)
            self._clerk.ask(Inquiry(names, spare=True), partial(self._on_answer, pieces))
        while self._to_encode and self._encoding + len(self.ready) < 2 * self._workers.count + 2:
            piece = self._to_encode[0]
            if self._compression.waits(piece.sampling):
                break
            if all(artifact.error is not None for artifact in self._waiting[piece.chunk.digest]):
                del self._waiting[piece.chunk.digest]
                self.let_go(piece)
            elif self._compression.is_off and not piece.is_scattered and not piece.is_prepared:
                if (error := _change_of(piece)) is not None:
                    self._settle(piece.chunk, _held(piece), error)
                else:
                    self._make_ready(piece, *codec.stored(piece.read()), _held(piece))
            elif piece.is_copy or self._room.try_take(piece.chunk.length):
                self._encoding += 1
                self._workers.submit(self._encode, piece)
                self._to_encode.popleft()
                continue  # it waits until it is encoded
            else:
                break
            self._to_encode.popleft()
            self._compression.meter.waiting -= piece.chunk.length

    def _encode(self, piece: Piece) -> None:
        """In a worker."""
        try:
            raw = piece.read()
            item, sampling = piece.segment.item, piece.sampling
            self._compression.look_at(raw, item, sampling)
            encoded = None
            if not self._compression.waits(sampling):
                encoded = self._compression.encode(raw, item, sampling)
                piece.check(raw, wholly=piece.is_prepared)
            del raw  # its room may be given back as soon as this is posted
        except Exception as error:
            self._post(partial(self._on_encoded, piece, error))
        else:
            self._post(partial(self._on_encoded, piece, encoded))

    def _on_answer(self, pieces: list[Piece], inquiry: Inquiry) -> None:
        for piece, name in zip(pieces, inquiry.names, strict=True):
            if inquiry.error is not None or isinstance(inquiry.answers[name], Found):
                self._settle(piece.chunk, _held(piece), inquiry.error)
            else:
                self._line_up(piece, first=piece.is_copy)  # it gives room to others

    def _line_up(self, piece: Piece, *, first: bool) -> None:
        self._compression.meter.waiting += piece.chunk.length
        if first:
            self._to_encode.appendleft(piece)
        else:
            self._to_encode.append(piece)

    def _on_encoded(self, piece: Piece, encoded: tuple[Frame, Buffer] | Exception | None) -> None:
        """The piece has taken as much room as it is long."""
        self._encoding -= 1
        length = piece.chunk.length
        self._compression.meter.waiting -= length
        if isinstance(encoded, Exception):
            self._settle(piece.chunk, length, encoded)
            return
        if encoded is None:
            self._room.give(length - _held(piece))
            self._line_up(piece, first=True)
            return
        header, body = encoded
        is_copy = piece.is_copy or piece.is_scattered or header.codec is not Codec.RAW
        held = header.body if is_copy else 0
        self._room.give(length - held)
        self._make_ready(piece, header, body, held)

    def _make_ready(self, piece: Piece, header: Frame, body: Buffer, held: int) -> None:
        """What holds no room is the user's own memory."""
        chunk = piece.chunk
        pieces = (frame.encode(header, chunk.digest), body)
        size = frame.SIZE + header.body
        users = None if held else piece
        name = ref.chunk_name(chunk.digest)
        self.ready.append(ChunkWrite(name, pieces, chunk=chunk, size=size, held=held, users=users))

    def _settle(self, chunk: Chunk, held: int, error: Exception | None) -> None:
        """It is stored, or cannot be."""
        waiting = self._waiting.pop(chunk.digest)
        if error is None:
            self._stored.add(chunk.digest)
        for artifact in waiting:
            artifact.missing -= 1
            artifact.settled += chunk.length
            self._listener.on_chunk(artifact, error)
        self._room.give(held)  # and whoever serializes looks again how much is settled


def _held(piece: Piece) -> int:
    """Bytes of the room that it has taken when it was hashed."""
    return piece.chunk.length if piece.is_copy else 0


def _change_of(piece: Piece) -> Exception | None:
    """What is wrong if it is not what was hashed any more."""
    try:
        piece.check(piece.read())
    except SerializationError as error:
        return error
    return None
