"""Artifacts put into a store by hand, byte for byte as the format says: what is read is no matter of who wrote it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from fastdatastore.store import codec, frame, manifest, manifest_object, ref
from fastdatastore.store.backends.base import Backend, Write
from fastdatastore.store.codec import stored
from fastdatastore.store.digest import digest
from fastdatastore.store.frame import Frame
from fastdatastore.store.layout import Layout, Source, lay_out
from tests.store.formats import manifest_of, raw_frames

if TYPE_CHECKING:
    from typing_extensions import Buffer

Compress = Callable[[memoryview], "tuple[Frame, Buffer]"]


def zstd(raw: memoryview) -> tuple[Frame, Buffer]:
    return codec.compress(raw, 1, 1, shuffled=False)


def shuffled_zstd(raw: memoryview) -> tuple[Frame, Buffer]:
    return codec.compress(raw, 8, 1, shuffled=True)


def chunk_writes(layout: Layout, made: manifest.Manifest, compress: Compress = stored) -> list[Write]:
    """The objects of its chunks, each once."""
    writes = {}
    for segment, of_segment in zip(layout.segments, made.segments, strict=True):
        position = 0
        for chunk in of_segment.chunks:
            header, body = compress(segment.read(position, chunk.length))
            writes[chunk.digest] = Write(ref.chunk_name(chunk.digest), (frame.encode(header, chunk.digest), body))
            position += chunk.length
    return list(writes.values())


def store(backend: Backend, specs: Sequence[Source], compress: Compress = stored, *, inline: bool | None = None) -> str:
    """Stores an artifact of these buffers and returns its ref.

    Args:
        inline: With its chunks in the manifest; None: if it is small.
    """
    layout = lay_out(specs)
    made = manifest_of(layout, {"n": len(specs)})
    logical = manifest.encode(made)
    is_inline = made.length <= manifest_object.INLINE_UP_TO if inline is None else inline
    pieces = manifest_object.encode(logical, raw_frames(layout, made) if is_inline else None)
    writes = [] if is_inline else chunk_writes(layout, made, compress)
    writes.append(Write(ref.artifact_name(digest(logical)), tuple(pieces)))
    for item in backend.write(writes):
        if item.error is not None:
            raise item.error
    return ref.of(digest(logical))
