"""An object becomes chunks and a logical manifest: cut and hashed while it is still being serialized."""

from __future__ import annotations

from concurrent.futures import Future, wait
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from fastdatastore.errors import SerializationError
from fastdatastore.store import manifest, ref
from fastdatastore.store.compression import Sampling
from fastdatastore.store.digest import digest
from fastdatastore.store.layout import Laying, Segment
from fastdatastore.store.manifest import Chunk, Manifest, StoredSegment
from fastdatastore.store.manifest_object import INLINE_UP_TO
from fastdatastore.store.serializers import registry
from fastdatastore.store.serializers.base import BufferSpec
from fastdatastore.store.workers import Workers

# A segment below this is hashed sooner than another thread has woken up.
_AT_ONCE = 1 << 20
# Of the user's memory a byte out of so many is looked at again: one page in four, and no byte of each number forever.
_STRIDE = 16381


@dataclass(frozen=True, eq=False, slots=True)
class Piece:
    """A chunk, and where its bytes are.

    Attributes:
        chunk: Digest and length.
        segment, offset: It is a stretch of that.
        is_copy: Its memory was made for the put, which has to bound how much there is of it.
        sampling: What is known of how its segment compresses.
        trace: Some of its bytes as they were hashed; None of a short one.
        is_prepared: It was hashed some time ago, in a call of its own.
    """

    chunk: Chunk
    segment: Segment = field(repr=False)
    offset: int
    is_copy: bool
    sampling: Sampling = field(repr=False)
    trace: bytes | None = field(repr=False)
    is_prepared: bool = False

    def read(self) -> memoryview:
        """Its bytes; gathered, if they lie in several buffers."""
        return self.segment.read(self.offset, self.chunk.length)

    def check(self, raw: memoryview, *, wholly: bool = False) -> None:
        """To be called with its bytes when they have been encoded or sent: they may be memory that the user changes.

        Args:
            wholly: Look at all of them; else here and there, which finds an array that was filled anew.

        Raises:
            SerializationError: They are not what was hashed.
        """
        if self.is_copy:
            return
        is_same = digest(raw) == self.chunk.digest if wholly or self.trace is None else raw[::_STRIDE] == self.trace
        if not is_same:
            raise SerializationError(
                "its memory was changed before it was stored: leave an object as it is until put or commit returns, "
                "and let what put_many draws from make a new array each time"
            )

    @property
    def is_scattered(self) -> bool:
        """Whether read() copies."""
        return len(self.segment.views) > 1


class Progress(Protocol):
    """Who waits for the chunks of an object. Called by the thread that outlines, `is_over` and `hashed` by others."""

    @property
    def is_over(self) -> bool:
        """Whether nobody waits any more; what is still to be hashed never is."""

    def admit(self, size: int, is_copy: bool) -> None:
        """A chunk of `size` bytes is about to be hashed; may wait, or raise to stop."""

    def hashed(self, piece: Piece) -> None:
        """In any order."""

    def restarted(self) -> None:
        """The pieces so far are not of the object."""


@dataclass(frozen=True, eq=False)
class Prepared:
    """An object that is ready to be committed, to one store or to several: serialized, cut and hashed.

    It holds the object's memory, which must not be changed as long as it is to be committed.

    Attributes:
        ref: The artifact's.
        length: Raw bytes.
    """

    ref: str
    length: int
    serializer: str
    logical: bytes = field(repr=False)
    pieces: tuple[Piece, ...] = field(repr=False)

    def __repr__(self) -> str:
        return f"<Prepared {self.ref} [{self.serializer} | {self.length:,} bytes in {len(self.pieces)} chunks]>"

    @property
    def is_inline(self) -> bool:
        """Whether its chunks are in the manifest object."""
        return self.length <= INLINE_UP_TO


def outline(obj: object, pool: Workers, progress: Progress | None = None) -> Prepared:
    """Serializes, cuts and hashes the object.

    Args:
        pool: Where chunks are hashed.
        progress: Gets the chunks as they are hashed. Only those of an inline artifact are in the result then, so that
            the memory of others can go before all is hashed.

    Raises:
        SerializationError: A part of the object cannot be serialized.
        FormatError: It passes a limit of the format.
    """
    sink = _Outline(pool, progress)
    try:
        return sink.end(*registry.stream(obj, sink))
    finally:
        sink.settle()


class _Cuts:
    """The chunks of one segment, while they are hashed."""

    def __init__(self, item: int) -> None:
        self.item = item
        self.chunks: list[Chunk] = []
        self.pieces: list[Piece | None] = []


class _Outline:
    """A serializer's sink."""

    def __init__(self, pool: Workers, progress: Progress | None) -> None:
        self._pool = pool
        self._progress = progress
        self._hashing: list[Future[None]] = []
        self._begin()

    def _begin(self) -> None:
        self._length = 0
        self._laying = Laying(), Laying()
        self._cuts: tuple[list[_Cuts], list[_Cuts]] = [], []

    def piece(self, view: memoryview, is_copy: bool) -> None:
        self._add(0, BufferSpec(view), is_copy=is_copy)

    def buffer(self, spec: BufferSpec) -> None:
        self._add(1, spec, is_copy=False)

    def restart(self) -> None:
        self.settle()
        self._begin()
        if self._progress is not None:
            self._progress.restarted()

    def _add(self, group: int, spec: BufferSpec, *, is_copy: bool) -> None:
        if segment := self._laying[group].add(spec):
            self._cuts[group].append(self._cut(segment, is_copy))

    def _cut(self, segment: Segment, is_copy: bool) -> _Cuts:
        self._length += segment.length
        made = _Cuts(segment.item)
        sampling = Sampling()
        offset = 0
        for length in segment.cut():
            if self._progress is not None:
                self._progress.admit(length, is_copy)
            number = len(made.chunks)
            made.chunks.append(Chunk("", length))
            made.pieces.append(None)
            work = partial(self._hash, made, number, segment, offset, is_copy, sampling)
            if segment.length < _AT_ONCE:
                work()
            else:
                self._hashing.append(self._pool.submit(work))
            offset += length
        return made

    def _hash(self, made: _Cuts, number: int, segment: Segment, offset: int, is_copy: bool, sampling: Sampling) -> None:
        if self._progress is not None and self._progress.is_over:
            return
        length = made.chunks[number].length
        raw = segment.read(offset, length)
        chunk = Chunk(digest(raw), length)
        trace = bytes(raw[::_STRIDE]) if length >= _AT_ONCE else None
        is_prepared = self._progress is None
        piece = Piece(chunk, segment, offset, is_copy and not is_prepared, sampling, trace, is_prepared)
        made.chunks[number] = chunk
        if self._progress is None or self._length <= INLINE_UP_TO:
            made.pieces[number] = piece
        if self._progress is not None:
            self._progress.hashed(piece)

    def settle(self) -> None:
        """No chunk is being hashed any more."""
        wait(self._hashing)

    def end(self, serializer: str, version: int, header: dict[str, object]) -> Prepared:
        """The artifact, when all buffers are there."""
        laying = self._laying[0]
        laying.extend(self._laying[1])
        buffers, shared = laying.end()
        cuts = [self._cut(shared, is_copy=False)] if shared else []
        cuts += [*self._cuts[0], *self._cuts[1]]
        for future in self._hashing:
            future.result()
        segments = tuple(StoredSegment(each.item, tuple(each.chunks)) for each in cuts)
        logical = manifest.encode(Manifest(serializer, version, header, buffers, segments))
        keeps = self._progress is None or self._length <= INLINE_UP_TO
        pieces = [piece for each in cuts for piece in each.pieces if piece is not None] if keeps else []
        return Prepared(ref.of(digest(logical)), self._length, serializer, logical, tuple(pieces))


def prepare(obj: object) -> Prepared:
    """The object, ready to be committed; no input or output.

    Raises:
        SerializationError, FormatError: As for outline.
    """
    with Workers() as workers:
        return outline(obj, workers)
