"""Objects into a store: all of them through one write of the back end, which never waits for the other work.

The caller's thread draws objects, serializes the small ones, and hands the back end what is ready; it decides, and
never blocks while something is on the way. Beside it there are a thread that serializes large objects (serializing.py),
one that asks what the store has (clerk.py), and workers that hash and compress. What they find is posted to the first.

For each object:

1. It is serialized, cut and hashed, up to LEAD bytes ahead of what is sent.
2. If all of it was hashed by then, its manifest is asked for. If that is there and young, all is done: no collection
   can have condemned it. If it is old, it is spared first, and asked for again.
3. Its chunks are spared, then asked for; those that are missing are compressed, if that pays, and sent. What two
   objects share is sent once.
4. When all of them are stored, the hold is confirmed, and the manifest written.

An object of up to INLINE_UP_TO bytes is its manifest alone. After a failure there are chunks that nothing needs, which
a collection removes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from functools import partial
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, TypeAlias

from fastdatastore.store import codec, frame, manifest_object, ref
from fastdatastore.store.backends.base import Backend, Found
from fastdatastore.store.cancel import Cancel
from fastdatastore.store.collection.lease import Hold
from fastdatastore.store.collection.timing import YOUNG
from fastdatastore.store.put.artifact import Artifact
from fastdatastore.store.put.chunks import Chunks
from fastdatastore.store.put.clerk import Clerk, Inquiry
from fastdatastore.store.put.compressing import Compression
from fastdatastore.store.put.outline import Piece, Prepared, outline
from fastdatastore.store.put.room import Room
from fastdatastore.store.put.serializing import LEAD, Serializing
from fastdatastore.store.put.smallness import is_small
from fastdatastore.store.put.writes import ChunkWrite, ManifestWrite, Sized
from fastdatastore.store.workers import Workers

if TYPE_CHECKING:
    from typing_extensions import Buffer

# To ask whether there is an object costs as much as to send so little.
_NOT_ASKED_BELOW = 64 << 10
# What is compressed within a manifest; below, it is the requests that take the time.
_COMPRESSED_FROM = 16 << 10
# Objects that are neither stored nor failed.
_MOST_UNFINISHED = 256
# Seconds to wait for the threads at a time: while a transfer may end, and while none can.
_GLANCE = 0.001
_WAIT = 0.05

Result: TypeAlias = tuple[int, str | Exception]


class Pipeline:
    """One call of put_many.

    Args:
        hold: Keeps what is found from being collected.
        workers: Hash and compress.
        memory: Bytes that may be held beside the objects themselves.
        cancel: The caller's.
        stop: Of the hold, and for the threads; is set when the call is over.
    """

    def __init__(
        self,
        backend: Backend,
        objects: Iterable[object],
        hold: Hold,
        compression: Compression,
        workers: Workers,
        *,
        memory: int,
        cancel: Cancel,
        stop: Cancel,
    ) -> None:
        self._backend = backend
        self._objects = iter(objects)
        self._drawn = 0
        self._compression = compression
        self._memory = memory
        self._cancel = cancel
        self._stop = stop
        self._posted: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._room = Room(memory)
        self._workers = workers
        self._serializing = Serializing(self._workers, self._room, self._posted.put, self)
        self._clerk = Clerk(backend, hold, self._posted.put, stop)
        self._chunks = Chunks(self._clerk, self._workers, self._room, compression, self._posted.put, self)
        self._meter = compression.meter
        self._is_exhausted = False
        self._is_serializing = False
        self._encoding = 0  # artifacts
        self._unfinished = 0
        self._unfinished_bytes = 0  # of those that are hashed
        self._inline_bytes = 0
        self._manifests: deque[ManifestWrite] = deque()
        self._on_the_way = 0
        self._results: deque[Result] = deque()

    def __repr__(self) -> str:
        return (
            f"<Pipeline [{self._unfinished} objects unfinished, {self._unfinished_bytes:,} bytes | "
            f"{self._on_the_way} writes on the way | {self._chunks!r} | {self._room!r}]>"
        )

    def run(self) -> Generator[Result, None, None]:
        """Index and ref of each object, or why it is not stored; as they end."""
        while not self._is_over:
            with closing(self._backend.write(self._writes(), self._cancel.check)) as ended:
                for write in ended:
                    self._on_the_way -= 1
                    self._meter.ended(write.size)
                    if isinstance(write, ManifestWrite):
                        self._finish(write.artifact, write.error)
                    elif isinstance(write, ChunkWrite):
                        self._chunks.ended(write)
                    yield from self._news()
            yield from self._news()

    def close(self) -> None:
        """Stops the threads; when the workers have ended, too, nobody touches an object's memory any more."""
        self._stop.set()
        self._room.close()
        self._serializing.close()
        self._clerk.close()

    def _news(self) -> Iterator[Result]:
        while self._results:
            with self._meter.away():
                yield self._results.popleft()

    # ---- what the back end draws from ----

    @property
    def _is_over(self) -> bool:
        return self._is_exhausted and not self._unfinished and not self._results

    def _writes(self) -> Iterator[Sized | None]:
        while True:
            self._cancel.check()
            self._workers.check()
            self._work_off(wait=0.0)
            if self._manifests or self._chunks.ready:
                write: Sized = self._manifests.popleft() if self._manifests else self._chunks.ready.popleft()
                self._on_the_way += 1
                self._meter.drew(write.size)
                yield write
            elif (self._is_exhausted and not self._unfinished) or (self._results and not self._on_the_way):
                self._meter.ran_dry()
                return
            elif self._draw():
                continue
            elif not self._work_off(self._patience):
                self._meter.ran_dry()
                if self._on_the_way:
                    yield None

    @property
    def _patience(self) -> float:
        """Seconds to wait for what the threads may post."""
        if not self._on_the_way:
            return _WAIT
        is_busy = self._is_serializing or self._encoding or self._clerk.is_asking or self._chunks.is_encoding
        return _GLANCE if is_busy else 0.0

    def _work_off(self, wait: float) -> bool:
        """Does what the threads have posted; whether they have."""
        has_posts = False
        try:
            while True:
                posted = self._posted.get(wait > 0, wait)
                has_posts, wait = True, 0.0
                posted()
        except Empty:
            pass
        self._chunks.move_on()
        return has_posts

    def _draw(self) -> bool:
        """Begins with the next object, if it is its turn."""
        if self._is_exhausted or self._is_serializing or self._unfinished >= _MOST_UNFINISHED:
            return False
        if self._unfinished_bytes >= LEAD or self._inline_bytes > self._memory // 2:
            return False
        try:
            with self._meter.away():
                obj = next(self._objects)
        except StopIteration:
            self._is_exhausted = True
            return True
        artifact = Artifact(self._drawn)
        self._drawn += 1
        self._unfinished += 1
        if isinstance(obj, Prepared):
            artifact.waiting += obj.pieces
            self._begin(artifact, obj)
        elif is_small(obj):
            try:
                self._begin(artifact, outline(obj, self._workers))
            except Exception as error:
                self._finish(artifact, error)
        else:
            self._is_serializing = True
            self._serializing.begin(artifact, obj)
        return True

    # ---- serializing ----

    def on_hashed(self, artifact: Artifact, piece: Piece) -> None:
        if artifact.error is not None:
            self._chunks.let_go(piece)
        elif artifact.is_open:
            self._chunks.want(artifact, piece)
        else:
            artifact.waiting.append(piece)

    def on_crowded(self, artifact: Artifact) -> None:
        if artifact.error is None and artifact.prepared is None:
            self._open(artifact)

    def on_restarted(self, artifact: Artifact) -> None:
        artifact.settled += sum(piece.chunk.length for piece in artifact.waiting)
        self._drop(artifact)

    def on_outlined(self, artifact: Artifact, outcome: Prepared | Exception | None) -> None:
        self._is_serializing = False
        if isinstance(outcome, Exception):
            self._finish(artifact, outcome)
        elif outcome is not None and artifact.error is None:
            self._begin(artifact, outcome)

    def _drop(self, artifact: Artifact) -> None:
        self._chunks.let_go(*artifact.waiting)
        artifact.waiting.clear()

    # ---- is it there? ----

    def _begin(self, artifact: Artifact, prepared: Prepared) -> None:
        """It is wholly hashed."""
        artifact.prepared = prepared
        self._unfinished_bytes += prepared.length
        if prepared.is_inline:  # whatever was hashed beside is in it, too
            self._inline_bytes += prepared.length
            self._drop(artifact)
        if prepared.is_inline and prepared.length + len(prepared.logical) < _NOT_ASKED_BELOW:
            self._conclude(artifact)
        elif artifact.is_open:
            self._conclude_if_stored(artifact)
        else:
            self._look_for(artifact, spare=False)

    def _look_for(self, artifact: Artifact, *, spare: bool) -> None:
        self._ask(artifact, self._on_manifest, look=True, spare=spare)

    def _on_manifest(self, artifact: Artifact, inquiry: Inquiry) -> None:
        (found,) = inquiry.answers.values()
        if not isinstance(found, Found):
            self._open(artifact)
            self._conclude_if_stored(artifact)
        elif inquiry.spare or found.age < YOUNG:
            self._finish(artifact)
        else:
            self._look_for(artifact, spare=True)

    def _ask(
        self, artifact: Artifact, then: Callable[[Artifact, Inquiry], None], *, look: bool = False, spare: bool
    ) -> None:
        """About its manifest. `then` hears of it, unless it could not be asked: then the artifact has failed."""

        def on_answer(inquiry: Inquiry) -> None:
            if inquiry.error is not None:
                self._finish(artifact, inquiry.error)
            elif artifact.error is None:
                then(artifact, inquiry)

        names = (ref.artifact_name(ref.digest_of(_prepared(artifact).ref)),)
        self._clerk.ask(Inquiry(names, look=look, spare=spare, confirm=not look), on_answer)

    def _open(self, artifact: Artifact) -> None:
        artifact.is_open = True
        self._chunks.want(artifact, *artifact.waiting)
        artifact.waiting.clear()

    # ---- the manifest ----

    def on_chunk(self, artifact: Artifact, error: Exception | None) -> None:
        if error is not None:
            self._finish(artifact, error)
        else:
            self._conclude_if_stored(artifact)

    def _conclude_if_stored(self, artifact: Artifact) -> None:
        if artifact.prepared is not None and artifact.error is None and not artifact.missing:
            self._conclude(artifact)

    def _conclude(self, artifact: Artifact) -> None:
        """All else is there."""
        self._ask(artifact, self._on_confirmed, spare=True)

    def _on_confirmed(self, artifact: Artifact, inquiry: Inquiry) -> None:
        prepared = _prepared(artifact)
        if not prepared.is_inline:
            self._write(artifact, manifest_object.encode(prepared.logical))
            return
        self._encoding += 1
        if prepared.length < _COMPRESSED_FROM or self._compression.is_off:
            self._on_encoded(artifact, _encoded(prepared, None))
        else:
            self._workers.submit(self._encode, artifact, prepared)

    def _encode(self, artifact: Artifact, prepared: Prepared) -> None:
        """In a worker."""
        self._posted.put(partial(self._on_encoded, artifact, _encoded(prepared, self._compression)))

    def _on_encoded(self, artifact: Artifact, encoded: tuple[Buffer, ...] | Exception) -> None:
        self._encoding -= 1
        if isinstance(encoded, Exception):
            self._finish(artifact, encoded)
        else:
            self._write(artifact, encoded)

    def _write(self, artifact: Artifact, pieces: tuple[Buffer, ...]) -> None:
        name = ref.artifact_name(ref.digest_of(_prepared(artifact).ref))
        size = sum(memoryview(piece).nbytes for piece in pieces)
        self._manifests.append(ManifestWrite(name, pieces, artifact=artifact, size=size))

    def _finish(self, artifact: Artifact, error: Exception | None = None) -> None:
        """Its result is known."""
        if artifact.is_done:
            return
        artifact.is_done = True
        artifact.error = error
        self._drop(artifact)
        self._unfinished -= 1
        if artifact.prepared is not None:
            self._unfinished_bytes -= artifact.prepared.length
            self._inline_bytes -= artifact.prepared.length if artifact.prepared.is_inline else 0
        self._results.append((artifact.index, error or _prepared(artifact).ref))
        self._room.give(0)  # who serializes it need not go on


def _prepared(artifact: Artifact) -> Prepared:
    assert artifact.prepared is not None
    return artifact.prepared


def _encoded(prepared: Prepared, compression: Compression | None) -> tuple[Buffer, ...] | Exception:
    try:
        return _inline(prepared, compression)
    except Exception as error:
        return error


def _inline(prepared: Prepared, compression: Compression | None) -> tuple[Buffer, ...]:
    """The manifest object of a small artifact."""
    frames: list[Buffer] = []
    for piece in prepared.pieces:
        raw = memoryview(bytes(piece.read()))  # a copy, which nobody changes any more
        piece.check(raw, wholly=True)
        header, body = compression.encode(raw, piece.segment.item, piece.sampling) if compression else codec.stored(raw)
        frames += (frame.encode(header, piece.chunk.digest), body)
    return manifest_object.encode(prepared.logical, frames)
