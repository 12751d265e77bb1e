"""What a store knows of an artifact: what it is, and what is stored for it. Sizes come from HEADs, not from chunks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from fastdatastore.store import frame
from fastdatastore.store import ref as refs
from fastdatastore.store.backends.base import UNKNOWN, Backend, Existence, Found
from fastdatastore.store.cancel import Cancel
from fastdatastore.store.frame import Codec
from fastdatastore.store.manifest import Chunk
from fastdatastore.store.outline import Outline, outlines


@dataclass(frozen=True)
class ArtifactStat:
    """An artifact. Sizes are in bytes.

    Attributes:
        ref: Its ref.
        type: Qualified name of the object's type, such as "pandas.DataFrame".
        serializer: What wrote it, such as "pandas".
        shape: Of an array; of a table its rows and columns; else None.
        dtype: Of an array; else None.
        schema: Name and type of each column of a table, where they are known; else None.
        size: Of the object, alignment included.
        stored_size: Of all that is stored for it, the manifest too; None if these credentials may not ask. Chunks that
            other artifacts share count whole.
        chunks: It is made of; 0 for one without bytes.
        unique_chunks: Different ones among them: each is stored once.
        missing_chunks: That are not in the store, so that it cannot be loaded.
        codecs: How many of the stored chunks are kept how, by "raw" and "zstd".
        inline: The chunks are in the manifest: one object in all.
        created: When it was stored, by the store's own clock; None if these credentials may not ask.
    """

    ref: str
    type: str
    serializer: str
    shape: tuple[int, ...] | None
    dtype: str | None
    schema: tuple[tuple[str, str], ...] | None
    size: int
    stored_size: int | None
    chunks: int
    unique_chunks: int
    missing_chunks: int
    codecs: Mapping[str, int]
    inline: bool
    created: datetime | None

    @property
    def ratio(self) -> float | None:
        """Bytes of the object for one that is stored; below 1 for small ones, which their manifest outweighs."""
        return self.size / self.stored_size if self.stored_size else None


def stat(backend: Backend, artifact: str, *, memory: int, cancel: Cancel) -> ArtifactStat:
    """Of one artifact. See ArtifactStore.stat."""
    ((_, outline),) = outlines(backend, [artifact], columns=True, memory=memory, cancel=cancel)
    if isinstance(outline, Exception):
        raise outline
    names = [refs.artifact_name(refs.digest_of(artifact)), *(refs.chunk_name(c.digest) for c in _objects(outline))]
    return _stat(outline, dict(backend.found(names, cancel.check)))


def _chunks(outline: Outline) -> list[Chunk]:
    return [chunk for segment in outline.stored.manifest.segments for chunk in segment.chunks]


def _objects(outline: Outline) -> set[Chunk]:
    """The chunks that are objects of their own."""
    return set() if outline.stored.inline is not None else set(_chunks(outline))


def _stat(outline: Outline, there: Mapping[str, Existence]) -> ArtifactStat:
    description, manifest, chunks = outline.description, outline.stored.manifest, _chunks(outline)
    stored = there[refs.artifact_name(refs.digest_of(outline.ref))]
    found = {chunk: there[refs.chunk_name(chunk.digest)] for chunk in _objects(outline)}
    everything = [stored, *found.values()]
    return ArtifactStat(
        ref=outline.ref,
        type=description.type,
        serializer=manifest.serializer,
        shape=description.shape,
        dtype=description.dtype,
        schema=description.schema,
        size=outline.size,
        stored_size=None if UNKNOWN in everything else sum(each.size for each in everything if isinstance(each, Found)),
        chunks=len(chunks),
        unique_chunks=len(set(chunks)),
        missing_chunks=sum(each is None for each in found.values()),
        codecs=_codecs(outline, found),
        inline=outline.stored.inline is not None,
        created=datetime.fromtimestamp(stored.modified, UTC)
        if isinstance(stored, Found) and stored.modified is not None
        else None,
    )


def _codecs(outline: Outline, found: Mapping[Chunk, Existence]) -> Mapping[str, int]:
    """A chunk that is not compressed is as long as its frame and its bytes, and any other one is shorter."""
    if outline.stored.inline is not None:
        codecs = Counter("raw" if chunk.frame.codec is Codec.RAW else "zstd" for chunk in outline.stored.inline)
    else:
        codecs = Counter(
            "raw" if there.size == frame.SIZE + chunk.length else "zstd"
            for chunk, there in found.items()
            if isinstance(there, Found)
        )
    return dict(sorted(codecs.items()))
