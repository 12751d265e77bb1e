"""An object on its way into a store."""

from __future__ import annotations

from fastdatastore.store.put.outline import Piece, Prepared


class Artifact:
    """What a put knows of one of its objects.

    Attributes:
        index: Of the object among all.
        prepared: When it is wholly hashed.
        error: Why it will not be stored.
        is_done: Its result is known.
        is_open: The store does not have it, and its chunks are wanted there.
        waiting: Chunks that are hashed while that is not known.
        missing: How many chunks are wanted and not stored yet.
        hashed: Bytes; counted by the thread that serializes.
        settled: Bytes of the chunks that are stored, or were before.
    """

    def __init__(self, index: int) -> None:
        self.index = index
        self.prepared: Prepared | None = None
        self.error: Exception | None = None
        self.is_done = False
        self.is_open = False
        self.waiting: list[Piece] = []
        self.missing = 0
        self.hashed = 0
        self.settled = 0

    def __repr__(self) -> str:
        name = self.prepared.ref if self.prepared else f"object {self.index}"
        return f"<Artifact {name} [{self.settled:,} of {self.hashed:,} bytes settled | {self.missing} chunks missing]>"
