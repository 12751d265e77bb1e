"""The logical manifest: what an artifact is, byte for byte; its digest is the artifact's ref."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from fastdatastore.errors import FormatError
from fastdatastore.store import canonical, ref
from fastdatastore.store.chunking import FDS_1, MAX_ITEM
from fastdatastore.store.placement import MAX_ALIGN, StoredBuffer, is_align, place

MAX_SIZE = 64 << 20
MAX_BUFFERS = 1 << 20
# 8 TiB of the longest chunks; a manifest of so many, and of so many buffers, has fewer than MAX_SIZE bytes.
MAX_CHUNKS = 1 << 19
# Of canonical.weight(): room for all buffers and chunks (4 and 3 for each), and for a large header.
MAX_WEIGHT = 8 * MAX_BUFFERS

_SERIALIZER = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


class Chunk(NamedTuple):
    """Attributes: digest: of its raw bytes, hex. length: raw bytes."""

    digest: str
    length: int


class StoredSegment(NamedTuple):
    """Attributes: item: what the lengths of all chunks but the last are multiples of. chunks: in order."""

    item: int
    chunks: tuple[Chunk, ...]

    @property
    def length(self) -> int:
        """Raw bytes."""
        return sum(chunk.length for chunk in self.chunks)


@dataclass(frozen=True)
class Manifest:
    """What an artifact is.

    Attributes:
        serializer: Id of the serializer that wrote it, such as "numpy".
        version: Of what that serializer writes.
        header: The serializer's own: a JSON object without floats.
        buffers: In the serializer's order.
        segments: What the buffers lie in.
    """

    serializer: str
    version: int
    header: Mapping[str, Any]
    buffers: tuple[StoredBuffer, ...]
    segments: tuple[StoredSegment, ...]

    @property
    def length(self) -> int:
        """Raw bytes of all segments."""
        return sum(segment.length for segment in self.segments)

    @property
    def offsets(self) -> list[int]:
        """Where each buffer lies in its segment."""
        return place(self.buffers, len(self.segments))[0]


def encode(manifest: Manifest) -> bytes:
    """The bytes whose digest is the ref.

    Raises:
        FormatError: It passes a limit of the format.
        canonical.NotCanonical: The header is not canonical JSON.
    """
    _check(manifest, "the artifact to be stored")
    data = canonical.encode(
        {
            "buffers": manifest.buffers,
            "header": manifest.header,
            "segments": manifest.segments,
            "serializer": [manifest.serializer, manifest.version],
        }
    )
    if len(data) > MAX_SIZE or canonical.weight(data) > MAX_WEIGHT:
        raise FormatError(
            f"its manifest would have {len(data)} bytes and {canonical.weight(data)} commas and opening brackets; "
            f"the most is {MAX_SIZE} and {MAX_WEIGHT}",
            place="the artifact to be stored",
            hint="store it as several artifacts, or give the serializer a smaller header",
        )
    return data


def decode(data: bytes | memoryview, place: str) -> Manifest:
    """The manifest that these bytes are, every rule of the format checked.

    Args:
        data: MAX_SIZE bytes at most.
        place: What to call it in an error.

    Raises:
        FormatError: They break a rule.
    """
    if len(data) > MAX_SIZE:
        raise FormatError(f"its manifest has {len(data)} bytes; the most is {MAX_SIZE}", place=place)
    try:
        value = canonical.decode(data, values=MAX_WEIGHT)
    except canonical.NotCanonical as error:
        raise FormatError(str(error), place=place) from None
    manifest = _read(value, place)
    _check(manifest, place)
    return manifest


def _read(value: Any, place: str) -> Manifest:
    """Of the types that it must have; the numbers are still to be checked."""
    if not isinstance(value, dict) or value.keys() != {"buffers", "header", "segments", "serializer"}:
        raise FormatError('it has other members than "buffers", "header", "segments" and "serializer"', place=place)
    serializer, header = value["serializer"], value["header"]
    if not (_is_list(serializer, 2) and isinstance(serializer[0], str) and type(serializer[1]) is int):
        raise FormatError('"serializer" is not a name and a version', place=place)
    if not isinstance(header, dict):
        raise FormatError('"header" is no object', place=place)
    buffers, segments = value["buffers"], value["segments"]
    if not (isinstance(buffers, list) and all(_is_list(buffer, 3) and _are_integers(buffer) for buffer in buffers)):
        raise FormatError('"buffers" is not a list of [length, align, segment]', place=place)
    if not (isinstance(segments, list) and all(map(_is_segment, segments))):
        raise FormatError('"segments" is not a list of [item, [[digest, length], …]]', place=place)
    return Manifest(
        serializer=serializer[0],
        version=serializer[1],
        header=header,
        buffers=tuple(StoredBuffer(*buffer) for buffer in buffers),
        segments=tuple(StoredSegment(item, tuple(Chunk(*chunk) for chunk in chunks)) for item, chunks in segments),
    )


def _is_list(value: Any, length: int) -> bool:
    return isinstance(value, list) and len(value) == length


def _are_integers(values: list[Any]) -> bool:
    return all(type(value) is int for value in values)  # True is no length


def _is_segment(value: Any) -> bool:
    return (
        _is_list(value, 2)
        and type(value[0]) is int
        and isinstance(value[1], list)
        and all(_is_list(chunk, 2) and ref.is_digest(chunk[0]) and type(chunk[1]) is int for chunk in value[1])
    )


def _check(manifest: Manifest, where: str) -> None:
    """Every bound and sum; FormatError."""

    def broken(rule: str) -> FormatError:
        return FormatError(rule, place=where)

    if not _SERIALIZER.fullmatch(manifest.serializer):
        raise broken(f"{manifest.serializer[:80]!r} is no serializer's name")
    if not 1 <= manifest.version < 1 << 31:
        raise broken(f"{manifest.version} is no version of a serializer")
    if len(manifest.buffers) > MAX_BUFFERS:
        raise broken(f"{len(manifest.buffers)} buffers; the most is {MAX_BUFFERS}")
    chunks = sum(len(segment.chunks) for segment in manifest.segments)
    if chunks > MAX_CHUNKS:
        raise broken(f"{chunks} chunks; the most is {MAX_CHUNKS}")
    for index, buffer in enumerate(manifest.buffers):
        if buffer.length < 0:
            raise broken(f"buffer {index} has {buffer.length} bytes")
        if not is_align(buffer.align):
            raise broken(f"buffer {index} has align {buffer.align}, which is no power of two up to {MAX_ALIGN}")
        if not 0 <= buffer.segment < len(manifest.segments):
            raise broken(f"buffer {index} lies in segment {buffer.segment}, which is not there")
    taken = place(manifest.buffers, len(manifest.segments))[1]
    for index, (segment, length) in enumerate(zip(manifest.segments, taken, strict=True)):
        if not 1 <= segment.item <= MAX_ITEM:
            raise broken(f"segment {index} has item {segment.item}; it has 1 to {MAX_ITEM}")
        for chunk in segment.chunks:
            if not 1 <= chunk.length <= FDS_1.maximum:
                raise broken(f"segment {index} has a chunk of {chunk.length} bytes; it has 1 to {FDS_1.maximum}")
        if any(chunk.length % segment.item for chunk in segment.chunks[:-1]):
            raise broken(f"segment {index} is cut between multiples of its item, {segment.item}")
        if segment.length != length:
            raise broken(f"the chunks of segment {index} have {segment.length} bytes, its buffers take {length}")
