"""The pipeline: chunks of many artifacts are read at once, and expanded and verified while others are on the way."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import closing

from fastdatastore import config
from fastdatastore.config import KIB
from fastdatastore.store.backends.base import Backend
from fastdatastore.store.cancel import NEVER, Cancel
from fastdatastore.store.get.artifact import Artifact, Outcome
from fastdatastore.store.get.incoming import Incoming, IncomingRead
from fastdatastore.store.manifest import Chunk
from fastdatastore.store.manifest_object import StoredManifest
from fastdatastore.store.workers import Workers

# To hand less than this to a thread costs more than to do it.
_AT_ONCE = 128 * KIB
# How often it is looked whether the call has been called off.
_WATCH_SECONDS = 0.05


def fetch(
    backend: Backend,
    artifacts: Iterable[tuple[str, StoredManifest]],
    *,
    memory: int,
    cancel: Cancel = NEVER,
    max_bytes: int | None = None,
) -> Generator[Outcome, None, None]:
    """The buffers of artifacts, in their serializers' order; each artifact when it is complete.

    Every buffer is writable, nobody else's, aligned as its manifest says and at least to 64 bytes, and verified. Its
    memory is recycled when the last view of it is gone.

    In place of buffers an exception: CorruptArtifact (a chunk is missing, or not what the manifest names), FormatError
    (a chunk is of a newer format), ArtifactTooLarge, MemoryError, or why the back end could not read a chunk. It stops
    no other artifact.

    Args:
        artifacts: Refs, and what read_manifests() has found. They are drawn as there is room, while others are on the
            way: to draw one should not take long.
        memory: Bytes that may be taken besides the results: for bodies that are compressed, and to expand them. One
            chunk is always let in.
        cancel: To call it off.
        max_bytes: The most that an artifact may have, before memory is taken for it; None: what the machine, or the
            cgroup, has.

    Raises:
        Cancelled: It was called off.
    """
    if max_bytes is None:
        max_bytes = config.memory()
    with Workers() as workers:
        yield from _Fetching(backend, artifacts, workers, memory, cancel, max_bytes).run()


class _Fetching:
    """One call of fetch(). All of it runs in the caller's thread, but for what it gives to the workers."""

    def __init__(
        self,
        backend: Backend,
        artifacts: Iterable[tuple[str, StoredManifest]],
        workers: Workers,
        memory: int,
        cancel: Cancel,
        max_bytes: int,
    ) -> None:
        self._backend = backend
        self._artifacts = iter(artifacts)
        self._workers = workers
        self._memory = memory
        self._cancel = cancel
        self._max_bytes = max_bytes
        self._incoming: dict[Chunk, Incoming] = {}  # have not arrived: further places may be added
        self._wanted: deque[Incoming] = deque()  # of these, what is to be read
        self._reading: set[Incoming] = set()  # the others
        self._working: dict[Future[None], Incoming] = {}  # have arrived
        self._ended: deque[Outcome] = deque()

    def run(self) -> Generator[Outcome, None, None]:
        while self._begin_next():
            if self._wanted:
                yield from self._read()
            while self._ended:
                yield self._ended.popleft()

    def _read(self) -> Generator[Outcome, None, None]:
        """Reads what is wanted, and goes on with further artifacts as long as there is something on the way."""
        with closing(self._backend.read(self._reads(), self._cancel.check)) as back:
            for read in back:
                self._on_arrival(read.incoming, read.error)
                self._reap()
                while self._ended:
                    yield self._ended.popleft()
        while self._working:
            wait(self._working, _WATCH_SECONDS, FIRST_COMPLETED)
            self._workers.check()
            self._cancel.check()
            self._reap()
            while self._ended:
                yield self._ended.popleft()

    # ---- what to read ----

    def _begin_next(self) -> bool:
        """Draws one artifact, if there is one more."""
        self._cancel.check()
        drawn = next(self._artifacts, None)
        if drawn is None:
            return False
        artifact = Artifact(*drawn, self._ended.append)
        for chunk, place in artifact.begin(self._max_bytes):
            incoming = self._incoming.get(chunk)
            if incoming is None:
                incoming = self._incoming[chunk] = Incoming(chunk)
                self._wanted.append(incoming)
            incoming.add(artifact, place)
        return True

    def _reads(self) -> Iterator[IncomingRead | None]:
        while True:
            while self._wanted:
                incoming = self._wanted[0]
                if not incoming.is_wanted:  # any more
                    self._wanted.popleft()
                    self._forget(incoming)
                    incoming.let_go()
                elif self._has_room(incoming):
                    self._wanted.popleft()
                    self._reading.add(incoming)
                    yield IncomingRead(incoming)
                else:
                    yield None
                    self._reap()
            if not self._ended:
                if not self._begin_next():
                    return
            elif self._reading:  # what waits for the caller is not added to
                yield None
            else:
                return

    def _has_room(self, incoming: Incoming) -> bool:
        taken = sum(each.reserved for each in (*self._reading, *self._working.values()))
        return not taken or taken + incoming.reserved <= self._memory

    # ---- what has arrived ----

    def _on_arrival(self, incoming: Incoming, error: Exception | None) -> None:
        self._forget(incoming)
        if error is None and incoming.is_wanted:
            if incoming.chunk.length > _AT_ONCE:
                self._working[self._workers.submit(incoming.unpack)] = incoming
                return
            try:
                incoming.unpack()
            except Exception as problem:
                error = problem.with_traceback(None)  # that would be a circle, which keeps the memory
        self._settle(incoming, error)

    def _reap(self) -> None:
        """Takes what the workers have done."""
        for future in [future for future in self._working if future.done()]:
            problem = future.exception()  # not result(): the traceback would be a circle, which keeps the memory
            assert problem is None or isinstance(problem, Exception)
            self._settle(self._working.pop(future), problem)

    def _forget(self, incoming: Incoming) -> None:
        """No further places are added."""
        self._reading.discard(incoming)
        del self._incoming[incoming.chunk]

    def _settle(self, incoming: Incoming, problem: Exception | None) -> None:
        """Its places are filled, or this is why not."""
        for owner in incoming.owners:
            if problem is None:
                owner.filled()
            else:
                owner.fail(problem, incoming.chunk)
        incoming.let_go()
