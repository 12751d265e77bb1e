"""What lies in a store, read by nothing but the format: the tests of put do not lean on get."""

from __future__ import annotations

from typing import Any

from fastdatastore.store import codec, frame, manifest_object, ref
from fastdatastore.store.backends.base import Backend
from fastdatastore.store.digest import digest
from fastdatastore.store.frame import Codec
from fastdatastore.store.manifest import Chunk
from fastdatastore.store.manifest_object import StoredManifest
from fastdatastore.store.serializers import registry
from tests.store.conformance import get, names
from tests.support.serialized import aligned


def manifest_of(backend: Backend, artifact: str) -> StoredManifest:
    return manifest_object.decode(get(backend, ref.artifact_name(ref.digest_of(artifact))), artifact)


def load(backend: Backend, artifact: str) -> Any:
    """The object; every byte is verified."""
    found = manifest_of(backend, artifact)
    inline = iter(found.inline or ())
    segments = []
    for segment in found.manifest.segments:
        content = bytearray()
        for chunk in segment.chunks:
            if found.inline is None:
                header, body = _chunk(backend, chunk)
            else:
                here = next(inline)
                header, body = here.frame, here.body
            raw = memoryview(bytearray(chunk.length))
            codec.expand(header, body, raw)
            assert digest(raw) == chunk.digest
            content += raw
        segments.append(memoryview(content))
    buffers = [
        aligned(segments[buffer.segment][offset : offset + buffer.length], buffer.align)
        for buffer, offset in zip(found.manifest.buffers, found.manifest.offsets, strict=True)
    ]
    return registry.load(found.manifest.serializer, found.manifest.version, dict(found.manifest.header), buffers)


def _chunk(backend: Backend, chunk: Chunk) -> tuple[frame.Frame, memoryview]:
    stored = memoryview(get(backend, ref.chunk_name(chunk.digest)))
    header = frame.decode(stored, chunk.digest, chunk.length)
    assert len(stored) == frame.SIZE + header.body
    return header, stored[frame.SIZE :]


def codecs(backend: Backend, artifact: str) -> list[Codec]:
    """Of its chunks, in order."""
    found = manifest_of(backend, artifact)
    if found.inline is not None:
        return [chunk.frame.codec for chunk in found.inline]
    return [_chunk(backend, chunk)[0].codec for segment in found.manifest.segments for chunk in segment.chunks]


def artifacts(backend: Backend) -> list[str]:
    """The refs of all that can be loaded; fails if a manifest is there and cannot."""
    refs = [ref.of(name.rpartition("/")[2]) for name in names(backend, "artifacts/")]
    for each in refs:
        load(backend, each)
    return refs


def chunks(backend: Backend) -> list[str]:
    return names(backend, "chunks/")
