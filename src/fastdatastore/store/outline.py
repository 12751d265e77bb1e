"""What an artifact's manifest says of it: of what type the object is, how large, what its columns are."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import NamedTuple

from fastdatastore.config import MIB
from fastdatastore.errors import ArtifactTooLarge, CorruptArtifact, FastDatastoreError, FormatError
from fastdatastore.store.backends.base import Backend
from fastdatastore.store.cancel import Cancel
from fastdatastore.store.get import fetch, read_manifests
from fastdatastore.store.manifest import StoredSegment
from fastdatastore.store.manifest_object import StoredManifest
from fastdatastore.store.placement import StoredBuffer
from fastdatastore.store.serializers import registry
from fastdatastore.store.serializers.base import Description

# The names of a table's columns are in a few small buffers among those of the data. The chunks that hold them are read,
# up to so many bytes in all: two of the longest.
_MOST = 32 * MIB


@dataclass(frozen=True)
class Outline:
    """An artifact as its manifest has it."""

    ref: str
    stored: StoredManifest
    description: Description

    @property
    def size(self) -> int:
        """Bytes of the object, alignment included."""
        return self.stored.manifest.length


def outlines(
    backend: Backend, refs: Iterable[str], *, columns: bool, memory: int, cancel: Cancel
) -> Generator[tuple[str, Outline | Exception], None, None]:
    """Of each of these artifacts, as they come; one that fails stops no other.

    Args:
        columns: Also those of tables, for which a chunk or a few are read.
    """
    with closing(read_manifests(backend, refs, cancel)) as manifests:
        for ref, stored in manifests:
            if isinstance(stored, Exception):
                yield ref, stored
                continue
            try:
                yield ref, Outline(ref, stored, _describe(backend, ref, stored, columns, memory, cancel))
            except FastDatastoreError as error:
                if isinstance(error, FormatError):
                    error.place = ref
                yield ref, error


def _describe(
    backend: Backend, ref: str, stored: StoredManifest, columns: bool, memory: int, cancel: Cancel
) -> Description:
    manifest = stored.manifest
    buffers: list[memoryview | None] = [None] * len(manifest.buffers)
    lengths = [buffer.length for buffer in manifest.buffers]

    def described() -> Description:
        return registry.describe(manifest.serializer, manifest.version, dict(manifest.header), lengths, buffers)

    found = described()
    if not columns or not found.is_table or found.schema is not None:
        return found
    wanted = registry.naming(manifest.serializer, manifest.version, dict(manifest.header), lengths)
    part, places = _part(stored, wanted)
    with closing(fetch(backend, [(ref, part)], memory=memory, cancel=cancel, max_bytes=_MOST)) as fetched:
        for _, content in fetched:
            if isinstance(content, ArtifactTooLarge | CorruptArtifact | FormatError):
                return found
            if isinstance(content, Exception):
                raise content
            for number, place in zip(wanted, places, strict=True):
                buffers[number] = content[place.buffer][place.start : place.start + manifest.buffers[number].length]
    return described()


class _Place(NamedTuple):
    """Where a buffer's bytes begin: in a buffer of a part, and so many bytes from its start."""

    buffer: int
    start: int


def _part(stored: StoredManifest, wanted: Sequence[int]) -> tuple[StoredManifest, list[_Place]]:
    """The manifest with the chunks of these buffers only, each segment as one buffer; and where the wanted ones are."""
    manifest = stored.manifest
    if stored.inline is not None:  # all is here
        return stored, [_Place(number, 0) for number in wanted]
    offsets = manifest.offsets
    starts = [[0, *accumulate(chunk.length for chunk in segment.chunks)] for segment in manifest.segments]
    chosen: dict[int, set[int]] = {}
    for number in wanted:
        length, _, segment = manifest.buffers[number]
        first = bisect_right(starts[segment], offsets[number]) - 1
        end = bisect_left(starts[segment], offsets[number] + length)
        chosen.setdefault(segment, set()).update(range(first, end))
    segments, places = [], {}
    for at, (segment, chunks) in enumerate(chosen.items()):
        item, all_chunks = manifest.segments[segment]
        position = 0
        for chunk in sorted(chunks):
            places[segment, chunk] = _Place(at, position)
            position += all_chunks[chunk].length
        segments.append(StoredSegment(item, tuple(all_chunks[chunk] for chunk in sorted(chunks))))
    buffers = tuple(StoredBuffer(segment.length, 1, at) for at, segment in enumerate(segments))
    part = StoredManifest(replace(manifest, buffers=buffers, segments=tuple(segments)), None)
    return part, [_placed(manifest.buffers[number], offsets[number], starts, places) for number in wanted]


def _placed(
    buffer: StoredBuffer, offset: int, starts: list[list[int]], places: Mapping[tuple[int, int], _Place]
) -> _Place:
    chunk = bisect_right(starts[buffer.segment], offset) - 1
    at, position = places.get((buffer.segment, chunk), _Place(0, 0))  # nowhere, where there are no bytes
    return _Place(at, position + offset - starts[buffer.segment][chunk])
