"""The 32 bytes before the body of every chunk: docs/format.md, "Chunks"."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

from fastdatastore.errors import FormatError
from fastdatastore.store.chunking import FDS_1

if TYPE_CHECKING:
    from typing_extensions import Buffer

MAGIC = b"FDSC"
VERSION = 1
SIZE = 32
_LAYOUT = struct.Struct("<4sBBBBQQ8s")


class Codec(IntEnum):
    """How a body holds the raw bytes."""

    RAW = 0
    ZSTD = 1
    SHUFFLED_ZSTD = 2


@dataclass(frozen=True)
class Frame:
    """What a frame's header says.

    Attributes:
        codec: How the body holds the raw bytes.
        item: Item size of the byte shuffle, 2 to 255; 0 for the other codecs.
        raw: Bytes that the chunk has.
        body: Bytes that follow the header: fewer than `raw`, or as many where the codec is RAW.
    """

    codec: Codec
    item: int
    raw: int
    body: int


def encode(frame: Frame, digest: str) -> bytes:
    """The header of a chunk with this digest (hex)."""
    _check(frame, "chunk")
    return _LAYOUT.pack(MAGIC, VERSION, frame.codec, frame.item, 0, frame.raw, frame.body, bytes.fromhex(digest)[:8])


def decode(data: Buffer, digest: str, raw: int, place: str = "") -> Frame:
    """What the header says of the chunk that a manifest names by digest and raw length.

    Args:
        data: SIZE bytes or more; those behind the header are not looked at.
        digest: Of the chunk, hex.
        raw: Its length according to the manifest: nothing else may be allocated for it.
        place: What to call the chunk in an error.

    Raises:
        FormatError: It is no such header.
    """
    place = place or f"chunk {digest}"
    view = memoryview(data).cast("B")
    if len(view) < SIZE:
        raise FormatError(f"its frame has {len(view)} bytes; a header alone has {SIZE}", place=place)
    magic, version, codec, item, zero, raw_length, body_length, start = _LAYOUT.unpack_from(view)
    if magic != MAGIC:
        raise FormatError(f"it begins with {magic!r}, not with {MAGIC!r}", place=place)
    if version != VERSION:
        raise FormatError.unknown_version(version, VERSION, place=f"{place} (frame)")
    if codec not in set(Codec):
        raise FormatError.newer(f"codec {codec} is unknown", place=place)
    if zero != 0:
        raise FormatError(f"byte 7 of its frame is {zero}, not 0", place=place)
    if start != bytes.fromhex(digest)[:8]:
        raise FormatError(f"its frame is that of a chunk {start.hex()}…", place=place)
    if raw_length != raw:
        raise FormatError(f"its frame says {raw_length} bytes, the manifest says {raw}", place=place)
    frame = Frame(Codec(codec), item, raw_length, body_length)
    _check(frame, place)
    return frame


def _check(frame: Frame, place: str) -> None:
    if not 1 <= frame.raw <= FDS_1.maximum:
        raise FormatError(f"a chunk of {frame.raw} bytes; it has 1 to {FDS_1.maximum}", place=place)
    if frame.codec is Codec.RAW:
        if frame.body != frame.raw:
            raise FormatError(f"{frame.body} bytes for {frame.raw} that are not compressed", place=place)
    elif not 1 <= frame.body < frame.raw:
        raise FormatError(f"{frame.body} compressed bytes for {frame.raw}; it has fewer, and some", place=place)
    if not (2 <= frame.item <= 255 if frame.codec is Codec.SHUFFLED_ZSTD else frame.item == 0):
        raise FormatError(f"item size {frame.item} of the byte shuffle with codec {frame.codec}", place=place)
