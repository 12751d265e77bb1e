"""Artifacts, made up and golden, for the tests of the format."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from hypothesis import strategies as st

from fastdatastore.store import frame, manifest, manifest_object, ref
from fastdatastore.store.digest import digest
from fastdatastore.store.frame import Codec, Frame
from fastdatastore.store.layout import Layout, lay_out
from fastdatastore.store.manifest import Chunk, Manifest, StoredSegment

GOLDEN = Path(__file__).parent / "golden"


@dataclass(frozen=True)
class Spec:
    """A buffer as a serializer hands it on."""

    view: memoryview
    align: int = 64
    item: int = 1


def golden_data(name: str) -> bytes:
    """Anyone can make it: SHA-256 in counter mode, a run of one value, a short period."""
    size = 40 << 20
    if name == "counter":
        hashes = b"".join(hashlib.sha256(number.to_bytes(8, "little")).digest() for number in range(size // 64))
        return hashes + hashes[::-1]
    return bytes(size) if name == "zeros" else bytes(range(256)) * (size // 256)


SPECS = st.builds(
    Spec,
    view=st.binary(max_size=300).map(memoryview),
    align=st.sampled_from([1 << power for power in range(13)]),
    item=st.integers(1, 100_000),
)


def manifest_of(layout: Layout, header: dict[str, object] | None = None) -> Manifest:
    segments = []
    for segment in layout.segments:
        chunks, position = [], 0
        for length in segment.cut():
            chunks.append(Chunk(digest(segment.read(position, length)), length))
            position += length
        segments.append(StoredSegment(segment.item, tuple(chunks)))
    return Manifest("numpy", 1, header or {}, layout.buffers, tuple(segments))


def raw_frames(layout: Layout, made: Manifest) -> list[bytes]:
    pieces = []
    for segment, stored in zip(layout.segments, made.segments, strict=True):
        position = 0
        for chunk in stored.chunks:
            pieces.append(frame.encode(Frame(Codec.RAW, 0, chunk.length, chunk.length), chunk.digest))
            pieces.append(bytes(segment.read(position, chunk.length)))
            position += chunk.length
    return pieces


def inline_object(specs: list[Spec], header: dict[str, object] | None = None) -> tuple[str, bytes]:
    """Ref and bytes of a small artifact."""
    layout = lay_out(specs)
    made = manifest_of(layout, header)
    logical = manifest.encode(made)
    return ref.of(digest(logical)), b"".join(map(bytes, manifest_object.encode(logical, raw_frames(layout, made))))
