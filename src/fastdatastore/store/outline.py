"""What an artifact's manifest says of it: of what type the object is, how large, what its columns are."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from contextlib import closing
from dataclasses import dataclass, replace

from fastdatastore.config import MIB
from fastdatastore.errors import ArtifactTooLarge, CorruptArtifact, FastDatastoreError, FormatError
from fastdatastore.store.backends.base import Backend
from fastdatastore.store.cancel import Cancel
from fastdatastore.store.get import fetch, read_manifests
from fastdatastore.store.manifest import Manifest
from fastdatastore.store.manifest_object import StoredManifest
from fastdatastore.store.placement import StoredBuffer
from fastdatastore.store.serializers import registry
from fastdatastore.store.serializers.base import Description

# The names of a table's columns are in a small buffer beside the data. What is larger is not fetched for them, nor more
# than this in all.
_SMALL = 1 * MIB
_MOST = 16 * MIB


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
        columns: Also those of tables, for which a small chunk is read.
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

    def described() -> Description:
        lengths = [buffer.length for buffer in manifest.buffers]
        return registry.describe(manifest.serializer, manifest.version, dict(manifest.header), lengths, buffers)

    found = described()
    if not columns or not found.is_table or found.schema is not None:
        return found
    part, numbers = _small_part(stored)
    with closing(fetch(backend, [(ref, part)], memory=memory, cancel=cancel, max_bytes=_MOST)) as fetched:
        for _, content in fetched:
            if isinstance(content, ArtifactTooLarge | CorruptArtifact | FormatError):
                return found
            if isinstance(content, Exception):
                raise content
            for number, buffer in zip(numbers, content, strict=True):
                buffers[number] = buffer
    return described()


def _small_part(stored: StoredManifest) -> tuple[StoredManifest, list[int]]:
    """The manifest with its small segments only, and the numbers of the buffers in them."""
    manifest = stored.manifest
    if stored.inline is not None:
        return stored, [*range(len(manifest.buffers))]
    chosen = [number for number, segment in enumerate(manifest.segments) if segment.length <= _SMALL]
    new = {number: position for position, number in enumerate(chosen)}
    numbers = [number for number, buffer in enumerate(manifest.buffers) if buffer.segment in new]
    part = replace(
        manifest,
        buffers=tuple(_moved(manifest, number, new) for number in numbers),
        segments=tuple(manifest.segments[number] for number in chosen),
    )
    return StoredManifest(part, None), numbers


def _moved(manifest: Manifest, number: int, new: dict[int, int]) -> StoredBuffer:
    buffer = manifest.buffers[number]
    return buffer._replace(segment=new[buffer.segment])
