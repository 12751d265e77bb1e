"""What is there, and what of it is garbage: all chunks listed, all tags and manifests read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from fastdatastore.store import ref, tags
from fastdatastore.store.backends.base import Backend, Entry
from fastdatastore.store.collection import listing, names
from fastdatastore.store.collection.census import Census
from fastdatastore.store.collection.names import Names
from fastdatastore.store.collection.report import Amount


@dataclass(frozen=True)
class Rules:
    """What is garbage.

    Attributes:
        young: Chunks of fewer seconds are not condemned: they may belong to an artifact that is being written.
        untagged: Artifacts without a tag are garbage,
        older_than: if they were stored so many seconds ago.
    """

    young: float
    untagged: bool
    older_than: float


@dataclass
class Survey:
    """What was found.

    Attributes:
        census: All chunks.
        kept: The artifacts that are not to be deleted now.
        doomed: Digest and size of those that are: condemned, and garbage still.
        old: Digest and size of those kept that are to be condemned.
    """

    census: Census = field(default_factory=Census)
    kept: Amount = field(default_factory=Amount)
    doomed: list[tuple[str, int]] = field(default_factory=list)
    old: list[tuple[str, int]] = field(default_factory=list)

    def doomed_chunks(self, condemned: Names) -> Iterator[tuple[str, int]]:
        """Digest and size of the condemned chunks that are garbage still."""
        for key in condemned:
            if not names.is_artifact(key) and (found := self.census.garbage(key[1:])) is not None:
                yield found.digest.hex(), found.size

    def garbage(self, condemned: Names) -> Iterator[tuple[bytes, int]]:
        """Key and size of what is to be condemned: garbage that is old enough and is not condemned yet."""
        for digest, size in self.old:
            yield names.artifact_key(digest), size
        for chunk in self.census.all_garbage():
            key = names.chunk_key(chunk.digest)
            if chunk.is_old and key not in condemned:
                yield key, chunk.size


def survey(
    backend: Backend, rules: Rules, condemned: Names, turn: Callable[[], None], progress: Callable[[str], None]
) -> Survey:
    """Looks at chunks first and at artifacts then: so what is written meanwhile holds no chunk that was not spared.

    Args:
        condemned: What may be deleted now.
        turn: Called again and again.

    Raises:
        FormatError, CorruptArtifact, FastDatastoreError: A manifest or a tag cannot be read.
    """
    now = backend.now()

    def is_older(entry: Entry, age: float) -> bool:
        # The server's Date is in whole seconds; a stamp in a listing may not be.
        return entry.modified > 0 and now - entry.modified > age - 1.0

    found = Survey()
    progress("counting chunks")
    for digest, entry in listing.chunks(backend):
        turn()
        found.census.add(bytes.fromhex(digest), entry.size, is_older(entry, rules.young))
    tagged: set[str] = set()
    if rules.untagged:
        progress("reading tags")
        tagged = {named for _, named in tags.sound_tags(backend)}
    progress("reading manifests")

    def kept() -> Iterator[tuple[str, int]]:
        for digest, entry in listing.artifacts(backend):
            turn()
            is_garbage = rules.untagged and is_older(entry, rules.older_than) and ref.of(digest) not in tagged
            if is_garbage and names.artifact_key(digest) in condemned:
                found.doomed.append((digest, entry.size))
                continue
            if is_garbage:
                found.old.append((digest, entry.size))
            found.kept += Amount(1, entry.size)
            yield digest, entry.size

    for _, stored in listing.manifests(backend, kept(), turn):
        if isinstance(stored, Exception):
            raise stored
        if stored.inline is None:
            for segment in stored.manifest.segments:
                for chunk in segment.chunks:
                    found.census.hold(bytes.fromhex(chunk.digest))
    return found
