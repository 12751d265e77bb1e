"""The thread of a put that serializes objects, one after the other, and has their chunks hashed."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable
from functools import partial
from queue import SimpleQueue
from typing import Protocol

from fastdatastore.config import GIB
from fastdatastore.store.put.artifact import Artifact
from fastdatastore.store.put.outline import Piece, Prepared, outline
from fastdatastore.store.put.room import Room, Stopped
from fastdatastore.store.workers import Workers

# So much of an object is hashed before anything of it is sent: if the store has it, one HEAD is all there is to do. On
# two cores that is half a second at most.
LEAD = 2 * GIB


class Listener(Protocol):
    """Hears of an artifact, in the put's own thread."""

    def on_hashed(self, artifact: Artifact, piece: Piece) -> None: ...
    def on_crowded(self, artifact: Artifact) -> None:
        """There is no room for more of it: some has to go before it is known whether the store has it."""

    def on_restarted(self, artifact: Artifact) -> None:
        """What was hashed so far is not of it."""

    def on_outlined(self, artifact: Artifact, outcome: Prepared | Exception | None) -> None:
        """It has been serialized, cannot be, or was given up."""


class Serializing:
    """See the top of this file.

    Args:
        post: Has the put's own thread call something.
    """

    def __init__(
        self, workers: Workers, room: Room, post: Callable[[Callable[[], None]], None], listener: Listener
    ) -> None:
        self.workers = workers
        self.room = room
        self.post = post
        self.listener = listener
        self._objects: SimpleQueue[tuple[Artifact, object] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None

    def begin(self, artifact: Artifact, obj: object) -> None:
        """Has it serialized; the reference to the object is let go with that."""
        if self._thread is None:
            run = partial(contextvars.copy_context().run, self._run)  # what is pickled may ask for its variables
            self._thread = threading.Thread(target=run, name="fastdatastore-serialize", daemon=True)
            self._thread.start()
        self._objects.put((artifact, obj))

    def close(self) -> None:
        """Waits for the thread, which a closed room stops at the next chunk."""
        if self._thread is not None:
            self._objects.put(None)
            self._thread.join()

    def _run(self) -> None:
        while (task := self._objects.get()) is not None:
            artifact, obj = task
            del task
            outcome: Prepared | Exception | None = None
            try:
                outcome = outline(obj, self.workers, _Progress(self, artifact))
            except Stopped:
                pass
            except Exception as error:
                outcome = error
            except BaseException as error:  # such as SystemExit, of the object's own code: the caller's
                self.post(partial(_raise, error))
            self.post(partial(self.listener.on_outlined, artifact, outcome))
            del artifact, obj, outcome


def _raise(error: BaseException) -> None:
    raise error


class _Progress:
    """Of one artifact."""

    def __init__(self, serializing: Serializing, artifact: Artifact) -> None:
        self._serializing = serializing
        self._artifact = artifact

    @property
    def is_over(self) -> bool:
        return self._serializing.room.is_closed

    def admit(self, size: int, is_copy: bool) -> None:
        if not self._may_go(size, is_copy):
            self._post(self._serializing.listener.on_crowded)
            self._serializing.room.wait_for(lambda: self._may_go(size, is_copy))
        if self._artifact.error is not None:
            raise Stopped
        self._artifact.hashed += size

    def _may_go(self, size: int, is_copy: bool) -> bool:
        """Takes the room for a copy, if there is any."""
        artifact = self._artifact
        if artifact.error is not None:
            return True
        ahead = artifact.hashed - artifact.settled
        if ahead and ahead + size > LEAD:
            return False
        return not is_copy or self._serializing.room.try_take(size)

    def hashed(self, piece: Piece) -> None:
        self._post(self._serializing.listener.on_hashed, piece)

    def restarted(self) -> None:
        self._post(self._serializing.listener.on_restarted)

    def _post(self, listen: Callable[..., None], *what: Piece) -> None:
        self._serializing.post(partial(listen, self._artifact, *what))
