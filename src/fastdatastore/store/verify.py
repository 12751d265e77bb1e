"""Reads a store, or some artifacts of it, and says what is damaged or missing."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from enum import StrEnum
from itertools import chain
from typing import Final

from fastdatastore.errors import ArtifactNotFound, CorruptArtifact, FormatError
from fastdatastore.store import ref as refs
from fastdatastore.store.backends.base import Backend
from fastdatastore.store.cancel import NEVER, Cancel
from fastdatastore.store.collection import listing
from fastdatastore.store.collection.report import Amount
from fastdatastore.store.get.fetch import fetch
from fastdatastore.store.get.manifests import read_manifests
from fastdatastore.store.manifest import Chunk, Manifest, StoredSegment
from fastdatastore.store.manifest_object import InlineChunk, StoredManifest
from fastdatastore.store.placement import StoredBuffer
from fastdatastore.store.tags import tags

MEMORY: Final = 128 << 20


class Fault(StrEnum):
    """MISSING: an artifact that was asked for or that a tag names, or a chunk. DAMAGED: it is not what it should be."""

    MISSING = "missing"
    DAMAGED = "damaged"


@dataclass(frozen=True)
class Finding:
    """Something that is not as it should be.

    Attributes:
        fault: What is wrong with it.
        reason: More of that.
        ref: The artifact, if it concerns one.
        chunk: Digest of the chunk that is concerned; "" if it is the manifest.
        tag: The tag that names the artifact that is missing, or that is damaged itself; else "".
    """

    fault: Fault
    reason: str
    ref: str = ""
    chunk: str = ""
    tag: str = ""

    def __str__(self) -> str:
        where = [f"tag {self.tag!r}"] if self.tag else []
        where += [f"artifact {self.ref}"] if self.ref else []
        where += [f"chunk {self.chunk}"] if self.chunk else []
        return f"{', '.join(where)}: {self.fault.value}: {self.reason}"


@dataclass(frozen=True)
class Verified:
    """What was looked at.

    Attributes:
        artifacts: Whose manifests were read; their bytes without padding, as they are in memory.
        chunks: Of these, each once, those within manifests left out; their bytes in memory.
        tags: How many there are; 0 where artifacts were named.
        garbage: Chunks that no artifact holds, as they are stored; gc() deletes them. None where artifacts were named.
    """

    artifacts: Amount
    chunks: Amount
    tags: int
    garbage: Amount


def verify(
    backend: Backend,
    artifacts: Iterable[str] | None = None,
    *,
    memory: int = MEMORY,
    cancel: Cancel = NEVER,
    progress: Callable[[str], None] = lambda step: None,
) -> Generator[Finding, None, Verified]:
    """Reads every chunk once and compares its digest; looks at all manifests and tags. Changes nothing.

    What is deleted meanwhile may be found missing. Of memory it takes some 150 bytes for each chunk.

    Args:
        artifacts: Refs; None: the whole store.
        memory: Bytes for chunks on the way, besides those that the engine has.
        progress: Is told what is being done, at each step.

    Yields:
        What is wrong: of a chunk that several artifacts hold, once for each of them.

    Raises:
        InvalidRef: One of them is none.
        Cancelled: It was called off.
        FastDatastoreError: The back end cannot be read.
    """
    asked = None if artifacts is None else list(dict.fromkeys(artifacts))
    held: dict[str, int] = {}
    misnamed: set[Chunk] = set()  # of another length than somebody else says: not all of them can be right
    there: set[str] = set()
    count = size = 0
    progress("reading manifests")
    for ref, stored in _manifests(backend, asked, cancel):
        if isinstance(stored, ArtifactNotFound):
            yield Finding(Fault.MISSING, "there is no such artifact", ref)
            continue
        there.add(ref)
        if isinstance(stored, Exception):
            yield Finding(Fault.DAMAGED, _reason(stored), ref)
            continue
        count, size = count + 1, size + stored.manifest.length
        if stored.inline is not None:
            alone = (_alone(inline.chunk, inline) for inline in stored.inline)
            for chunk, reason in _damaged(backend, alone, memory, cancel):
                yield Finding(Fault.DAMAGED, reason, ref, chunk.digest)
            continue
        for segment in stored.manifest.segments:
            misnamed.update(chunk for chunk in segment.chunks if held.setdefault(*chunk) != chunk.length)
    progress("reading chunks")
    chunks = (_alone(Chunk(*chunk)) for chunk in chain(held.items(), misnamed))
    if bad := dict(_damaged(backend, chunks, memory, cancel)):
        progress("looking whose chunks they are")
        yield from _owners(backend, asked, bad, cancel)
    tagged, garbage = 0, Amount()
    if asked is None:
        progress("reading tags")
        for tag, named in tags(backend, cancel):
            tagged += 1
            if isinstance(named, FormatError):
                yield Finding(Fault.DAMAGED, str(named), tag=tag)
            elif named not in there and not _is_there(backend, named):
                yield Finding(Fault.MISSING, "the tag names an artifact that is not there", named, tag=tag)
        progress("counting garbage")
        for digest, entry in listing.chunks(backend):
            if digest not in held:
                garbage += Amount(1, entry.size)
    return Verified(Amount(count, size), Amount(len(held), sum(held.values())), tagged, garbage)


def _manifests(
    backend: Backend, asked: list[str] | None, cancel: Cancel
) -> Iterator[tuple[str, StoredManifest | Exception]]:
    """Raises what is no fault of the store."""
    if asked is None:
        listed = ((digest, entry.size) for digest, entry in listing.artifacts(backend))
        found = listing.manifests(backend, listed, cancel.check)
    else:
        found = read_manifests(backend, asked, cancel)
    with closing(found):
        for ref, stored in found:
            if isinstance(stored, Exception) and not isinstance(
                stored, ArtifactNotFound | CorruptArtifact | FormatError
            ):
                raise stored
            yield ref, stored


def _alone(chunk: Chunk, inline: InlineChunk | None = None) -> tuple[str, StoredManifest]:
    """A chunk as an artifact of its own, so that nothing but what is on the way takes memory; and its name here."""
    segments = (StoredSegment(1, (chunk,)),)
    manifest = Manifest("raw", 1, {}, (StoredBuffer(chunk.length, 1, 0),), segments)
    return f"{chunk.digest} {chunk.length}", StoredManifest(manifest, None if inline is None else (inline,))


def _damaged(
    backend: Backend, chunks: Iterator[tuple[str, StoredManifest]], memory: int, cancel: Cancel
) -> Iterator[tuple[Chunk, str]]:
    """Chunks that cannot be had, and why."""
    for name, outcome in fetch(backend, chunks, memory=memory, cancel=cancel):
        if isinstance(outcome, CorruptArtifact | FormatError):
            digest, length = name.split()
            yield Chunk(digest, int(length)), outcome.reason
        elif isinstance(outcome, Exception):
            raise outcome


def _owners(backend: Backend, asked: list[str] | None, bad: dict[Chunk, str], cancel: Cancel) -> Iterator[Finding]:
    names = {refs.chunk_name(chunk.digest) for chunk in bad}
    exists = dict(backend.found(names, cancel.check))
    for ref, stored in _manifests(backend, asked, cancel):
        if not isinstance(stored, Exception) and stored.inline is None:
            held = {chunk for segment in stored.manifest.segments for chunk in segment.chunks}
            for chunk in sorted(held & bad.keys()):
                fault = Fault.MISSING if exists[refs.chunk_name(chunk.digest)] is None else Fault.DAMAGED
                yield Finding(fault, bad[chunk], ref, chunk.digest)


def _reason(stored: Exception) -> str:
    return stored.reason if isinstance(stored, CorruptArtifact | FormatError) else str(stored)


def _is_there(backend: Backend, ref: str) -> bool:
    """Whether it has come since the manifests were listed."""
    ((_, found),) = backend.found([refs.artifact_name(refs.digest_of(ref))])
    return found is not None
