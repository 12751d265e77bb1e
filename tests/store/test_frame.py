"""The header of a chunk: what is written comes back, all else is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastdatastore.errors import FormatError
from fastdatastore.store import frame
from fastdatastore.store.frame import Codec, Frame

DIGEST = "0123456789abcdef" * 4
MAXIMUM = 16 << 20


@st.composite
def frames(draw: st.DrawFn) -> Frame:
    codec = draw(st.sampled_from(Codec))
    raw = draw(st.integers(1 if codec is Codec.RAW else 2, MAXIMUM))
    body = raw if codec is Codec.RAW else draw(st.integers(1, raw - 1))
    return Frame(codec, draw(st.integers(2, 255)) if codec is Codec.SHUFFLED_ZSTD else 0, raw, body)


@given(frames())
def test_a_frame_comes_back(made: Frame) -> None:
    data = frame.encode(made, DIGEST)
    assert len(data) == frame.SIZE
    assert frame.decode(data + b"body", DIGEST, made.raw) == made


def test_the_bytes_are_those_of_the_format() -> None:
    data = frame.encode(Frame(Codec.SHUFFLED_ZSTD, 8, 0x123456, 0x234), DIGEST)
    assert data.hex() == "4644534301020800563412000000000034020000000000000123456789abcdef"


@given(frames(), st.integers(0, frame.SIZE * 8 - 1))
def test_a_turned_bit_is_refused_or_read_within_bounds(made: Frame, bit: int) -> None:
    data = bytearray(frame.encode(made, DIGEST))
    data[bit // 8] ^= 1 << bit % 8
    try:
        read = frame.decode(data, DIGEST, made.raw)
    except FormatError:
        return
    assert read.raw == made.raw
    assert read.body <= read.raw


@given(st.binary(max_size=40))
def test_any_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(FormatError):
        frame.decode(data, DIGEST, 100)


def test_another_version_is_named() -> None:
    data = bytearray(frame.encode(Frame(Codec.RAW, 0, 5, 5), DIGEST))
    data[4] = 9
    with pytest.raises(FormatError, match="knows version 9"):
        frame.decode(data, DIGEST, 5)


@pytest.mark.parametrize(
    "change",
    [
        {"raw": 0, "body": 0},
        {"raw": MAXIMUM + 1, "body": MAXIMUM + 1},
        {"body": 99},
        {"body": 101},
        {"codec": Codec.ZSTD},
        {"codec": Codec.ZSTD, "body": 0},
        {"codec": Codec.ZSTD, "body": 50, "item": 8},
        {"codec": Codec.SHUFFLED_ZSTD, "body": 50, "item": 1},
        {"codec": Codec.SHUFFLED_ZSTD, "body": 50, "item": 256},
        {"item": 2},
    ],
)
def test_what_a_frame_cannot_say_is_never_written(change: dict[str, int]) -> None:
    with pytest.raises(FormatError):
        frame.encode(replace(Frame(Codec.RAW, 0, 100, 100), **change), DIGEST)  # type: ignore[arg-type]


def test_a_frame_of_another_chunk_is_refused() -> None:
    data = frame.encode(Frame(Codec.RAW, 0, 100, 100), DIGEST)
    with pytest.raises(FormatError, match="that of a chunk 0123456789abcdef"):
        frame.decode(data, "f" * 64, 100)
    with pytest.raises(FormatError, match="says 100 bytes, the manifest says 99"):
        frame.decode(data, DIGEST, 99)
