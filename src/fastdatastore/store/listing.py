"""The artifacts that a store holds."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import islice

from fastdatastore.store import ref
from fastdatastore.store.backends.base import Backend, Entry
from fastdatastore.store.cancel import Cancel
from fastdatastore.store.outline import Outline, outlines

# Manifests that are read at a time.
_STEP = 256


@dataclass(frozen=True)
class ArtifactEntry:
    """An artifact as a listing has it.

    Attributes:
        ref: Its ref.
        created: When it was stored, by the store's own clock.
        size, type: As of ArtifactStat, if they were asked for; None for a manifest that cannot be read.
    """

    ref: str
    created: datetime
    size: int | None = None
    type: str | None = None


def listed(backend: Backend, *, details: bool, memory: int, cancel: Cancel) -> Generator[ArtifactEntry, None, None]:
    """All artifacts, in the back end's order; drawn as they are asked for."""
    with closing(backend.list("artifacts/b3/", cancel.check)) as found:
        entries = _artifacts(found, cancel)
        if not details:
            yield from entries
            return
        while some := {entry.ref: entry for entry in islice(entries, _STEP)}:
            with closing(outlines(backend, [*some], columns=False, memory=memory, cancel=cancel)) as read:
                for name, outline in read:
                    if isinstance(outline, Outline):
                        some[name] = replace(some[name], size=outline.size, type=outline.description.type)
            yield from some.values()


def _artifacts(found: Iterator[Entry], cancel: Cancel) -> Iterator[ArtifactEntry]:
    for entry in found:
        cancel.check()
        digest = entry.name.rpartition("/")[2]
        if ref.is_digest(digest) and ref.artifact_name(digest) == entry.name:
            yield ArtifactEntry(ref.of(digest), datetime.fromtimestamp(entry.modified, UTC))
