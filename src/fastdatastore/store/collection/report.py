"""What a run of the collection has found and done."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Amount:
    """Attributes: count: of objects. size: their bytes, as they are stored."""

    count: int = 0
    size: int = 0

    def __add__(self, other: Amount) -> Amount:
        return Amount(self.count + other.count, self.size + other.size)


@dataclass(frozen=True)
class GcReport:
    """Of one run; of a dry run, what it would have done.

    Attributes:
        artifacts: That are there and stay for now.
        chunks: That they hold.
        deleted_artifacts, deleted_chunks: Condemned by an earlier run, and garbage still.
        condemned: Artifacts and chunks that a later run deletes, if they are garbage still. Their sizes are 0 if an
            earlier run has condemned them and it is too early to look at them again.
        due_in: Seconds until it may; None where nothing is condemned.
        busy: Another run is at work, or came first; this one has not done all that it says.
        dry_run: Nothing was changed.
    """

    artifacts: Amount = Amount()
    chunks: Amount = Amount()
    deleted_artifacts: Amount = Amount()
    deleted_chunks: Amount = Amount()
    condemned: Amount = Amount()
    due_in: float | None = None
    busy: bool = False
    dry_run: bool = False
