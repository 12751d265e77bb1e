"""A small writer that keeps to the protocol of put: artifacts of chunks of some bytes each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from fastdatastore.errors import ArtifactNotFound
from fastdatastore.store import frame, manifest, manifest_object, ref, small
from fastdatastore.store.backends.base import Backend, Found, Write
from fastdatastore.store.collection.lease import Lease
from fastdatastore.store.collection.timing import YOUNG
from fastdatastore.store.digest import digest
from fastdatastore.store.frame import Codec, Frame
from fastdatastore.store.manifest import Chunk, Manifest, StoredSegment
from fastdatastore.store.placement import StoredBuffer


@dataclass(frozen=True)
class Artifact:
    """Attributes: contents: of its chunks. number: makes another artifact of the same chunks."""

    contents: tuple[bytes, ...]
    number: int = 0

    @cached_property
    def logical(self) -> bytes:
        chunks = tuple(Chunk(digest(content), len(content)) for content in self.contents)
        length = sum(map(len, self.contents))
        segments = (StoredSegment(1, chunks),)
        return manifest.encode(Manifest("raw", 1, {"n": self.number}, (StoredBuffer(length, 1, 0),), segments))

    @cached_property
    def ref(self) -> str:
        return ref.of(digest(self.logical))

    @cached_property
    def name(self) -> str:
        return ref.artifact_name(ref.digest_of(self.ref))

    @cached_property
    def chunks(self) -> list[str]:
        return [ref.chunk_name(digest(content)) for content in self.contents]


def chunk_object(content: bytes) -> bytes:
    return frame.encode(Frame(Codec.RAW, 0, len(content), len(content)), digest(content)) + content


def put(backend: Backend, lease: Lease, artifact: Artifact) -> str:
    """As docs/guarantees.md has it."""
    ((_, there),) = backend.found([artifact.name])
    if isinstance(there, Found) and there.age < YOUNG:
        return artifact.ref
    with lease.hold() as hold:
        hold.spare([artifact.name])
        ((_, there),) = backend.found([artifact.name])
        if isinstance(there, Found):
            return artifact.ref
        hold.spare(artifact.chunks)
        contents = dict(zip(artifact.chunks, artifact.contents, strict=True))
        missing = [name for name, found in backend.found(contents) if not isinstance(found, Found)]
        for item in backend.write(Write(name, (chunk_object(contents[name]),)) for name in missing):
            if item.error is not None:
                raise item.error
        hold.confirm()
        small.write(backend, artifact.name, *manifest_object.encode(artifact.logical))
    return artifact.ref


def is_readable(backend: Backend, artifact: Artifact) -> bool:
    """Raises ArtifactNotFound; False: of its chunks some are missing."""
    ((_, there),) = backend.found([artifact.name])
    if there is None:
        raise ArtifactNotFound(artifact.ref)
    return all(found is not None for _, found in backend.found(artifact.chunks))


def chunks_of(backend: Backend) -> list[str]:
    return sorted(entry.name for entry in backend.list("chunks/"))


def make(*contents: str, number: int = 0) -> Artifact:
    return Artifact(tuple(content.encode() for content in contents), number)


def stored(backend: Backend, artifacts: Sequence[Artifact]) -> list[Artifact]:
    """Those that are there."""
    found = dict(backend.found([artifact.name for artifact in artifacts]))
    return [artifact for artifact in artifacts if found[artifact.name] is not None]
