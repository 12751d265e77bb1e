"""Collects garbage: chunks that no artifact holds and, if asked to, old artifacts that no tag names.

One run deletes what an earlier one has condemned, a grace period ago, and what is garbage still; and it condemns what
is garbage now. Why no interleaving of runs and writers loses anything is argued in docs/guarantees.md.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from fastdatastore.errors import ConfigurationError
from fastdatastore.store.backends.base import Backend
from fastdatastore.store.cancel import NEVER, Cancel
from fastdatastore.store.collection.report import GcReport
from fastdatastore.store.collection.run import Run
from fastdatastore.store.collection.state import MAX_SETTLING
from fastdatastore.store.collection.survey import Rules
from fastdatastore.store.collection.timing import (
    GRACE,
    LEASE,
    LEAST_AGE_UNTAGGED,
    LEAST_GRACE,
    SYSTEM,
    Clock,
)


def gc(
    backend: Backend,
    *,
    grace: float = GRACE,
    untagged: bool = False,
    older_than: float | None = None,
    exclusive: bool = False,
    dry_run: bool = False,
    clock: Clock = SYSTEM,
    cancel: Cancel = NEVER,
    progress: Callable[[str], None] = lambda step: None,
) -> GcReport:
    """Runs the collection once. What this run condemns, a later one deletes, after the grace period.

    Any number of readers and writers may be at work meanwhile, and other runs too. It reads all manifests. Of memory it
    takes 40 bytes for each chunk in the store, 33 for each name that is condemned, and 64 MiB for manifests.

    Args:
        grace: Seconds from condemning to deleting, at least 2 hours.
        untagged: Collect artifacts that no tag names, too.
        older_than: Of these only such as were stored so many seconds ago; by default, and at least, 24 hours.
        exclusive: The caller promises that nobody else writes to this store until the call is over. Then what is
            garbage is condemned and deleted at once, artifacts as young as `older_than` says.
        dry_run: Only say what would be deleted and condemned.
        clock: Of this machine.
        progress: Is told what is being done, at each step.

    Raises:
        ConfigurationError: The grace period is too short, or older_than was given without untagged.
        FormatError, CorruptArtifact: A manifest or tag cannot be read, so that nobody knows what is garbage; verify()
            lists all such. Nothing was deleted.
        FastDatastoreError: Some of what was condemned may have been deleted; a later run goes on with it.
    """
    if not exclusive and grace < LEAST_GRACE:
        raise ConfigurationError(
            f"grace must be at least {LEAST_GRACE:.0f} seconds, got {grace}: a writer may rely so long on what it has "
            "seen; if nobody writes to the store, exclusive=True needs none"
        )
    if older_than is not None and (not untagged or older_than < 0):
        raise ConfigurationError(f"older_than={older_than} needs untagged=True, and is not negative")
    if exclusive:
        grace = 0.0
        rules = Rules(0.0, untagged, LEAST_AGE_UNTAGGED if older_than is None else older_than)
    else:
        rules = Rules(LEASE, untagged, max(older_than or 0.0, LEAST_AGE_UNTAGGED))
    run = Run(backend, rules, grace, exclusive, clock, cancel, progress)
    if dry_run:
        return run.rehearse()
    report = run.act()
    # The first run condemns, the next one deletes; the chunks of artifacts that it deletes go with a third. All of them
    # may have settling deletes, for which the register has room.
    for _ in range(MAX_SETTLING - 1):
        if not exclusive or report.busy or not report.condemned.count:
            break
        before = report
        report = Run(backend, rules, grace, exclusive, clock, cancel, progress).act()
        report = replace(
            report,
            deleted_artifacts=before.deleted_artifacts + report.deleted_artifacts,
            deleted_chunks=before.deleted_chunks + report.deleted_chunks,
        )
    return report
