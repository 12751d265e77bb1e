"""The body of a chunk: raw bytes, compressed and expanded again. docs/format.md, "Chunks".

By the package zstandard, which releases the interpreter's lock and decompresses straight into the caller's memory. What
is stored raw needs no such package.
"""

from __future__ import annotations

import importlib.util
from functools import cache
from types import ModuleType
from typing import TYPE_CHECKING

from fastdatastore.errors import ConfigurationError, FormatError
from fastdatastore.store.chunking import FDS_1
from fastdatastore.store.frame import Codec, Frame
from fastdatastore.store.shuffling import shuffle, unshuffle

if TYPE_CHECKING:
    from typing_extensions import Buffer

# No chunk is longer, so a longer window could hold nothing more.
MAX_WINDOW = FDS_1.maximum


def compress(raw: memoryview, item: int, level: int, *, shuffled: bool) -> tuple[Frame, Buffer]:
    """The frame and the body of a chunk; its raw bytes themselves, if they do not shrink.

    Args:
        raw: 1 to 16 MiB.
        item: Size of the numbers that a shuffle sorts by their bytes.
        level: zstd's, -7 to 22.
        shuffled: Shuffle first; items of 1 byte, and of more than 255, are not.

    Raises:
        ConfigurationError: The package zstandard is not installed.
    """
    codec, item = (Codec.SHUFFLED_ZSTD, item) if shuffled and can_shuffle(item) else (Codec.ZSTD, 0)
    source: Buffer = raw
    if codec is Codec.SHUFFLED_ZSTD:
        source = bytearray(len(raw))
        shuffle(raw, source, item)
    body = _zstandard().ZstdCompressor(level=level).compress(source)
    if len(body) >= len(raw):
        return stored(raw)
    return Frame(codec, item, len(raw), len(body)), body


def stored(raw: memoryview) -> tuple[Frame, Buffer]:
    """The frame and the body of a chunk that is not compressed."""
    return Frame(Codec.RAW, 0, len(raw), len(raw)), raw


def can_shuffle(item: int) -> bool:
    """Whether a frame can say that items of so many bytes were shuffled."""
    return 2 <= item <= 255


def expand(frame: Frame, body: memoryview, out: memoryview, place: str = "a chunk") -> None:
    """Fills `out` with the raw bytes of a chunk. Their digest is still to be compared: a body may hold anything.

    Args:
        frame: Of frame.decode(), which has checked it.
        body: As many bytes as the frame says.
        out: As many writable bytes as the chunk has; undefined after an error.
        place: What to call the chunk in an error.

    Raises:
        FormatError: The body does not hold so many bytes, or is none that the format allows.
        ValueError: `body` or `out` is of another length than the frame says.
        ConfigurationError: The package zstandard is needed and not installed.
    """
    if len(body) != frame.body or len(out) != frame.raw:
        raise ValueError(f"{len(body)} bytes for {len(out)} of a frame that says {frame.body} for {frame.raw}")
    if frame.codec is Codec.RAW:
        out[:] = body
    elif frame.codec is Codec.ZSTD:
        _decompress(body, out, place)
    else:
        scratch = memoryview(bytearray(len(out)))
        _decompress(body, scratch, place)
        unshuffle(scratch, out, frame.item)


def _decompress(body: memoryview, out: memoryview, place: str) -> None:
    zstandard = _zstandard()
    reader = zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW).stream_reader(body)
    try:
        length = reader.readinto(out)
        # Whatever is behind these bytes: more of them, another frame, or no frame at all.
        beyond = len(reader.read(1))
    except zstandard.ZstdError as error:
        raise FormatError(f"its body cannot be decompressed: {error}", place=place) from None
    if length + beyond != len(out):
        more = "more" if beyond else f"{length}"
        raise FormatError(f"its body decompresses to {more} bytes; the manifest says {len(out)}", place=place)


@cache
def is_available() -> bool:
    """Whether chunks can be compressed here."""
    return importlib.util.find_spec("zstandard") is not None


@cache
def _zstandard() -> ModuleType:
    try:
        import zstandard
    except ImportError as error:
        raise ConfigurationError(
            "compressed chunks need the package zstandard; install it with: pip install 'fastdatastore[store]'"
        ) from error
    return zstandard
