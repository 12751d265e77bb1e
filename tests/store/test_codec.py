"""Bodies of chunks: what was compressed comes back, in the room that it has; all else is refused."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from fastdatastore.errors import FormatError
from fastdatastore.store.codec import MAX_WINDOW, compress, expand
from fastdatastore.store.frame import Codec, Frame
from tests.store.formats import GOLDEN

RAW = b"".join((n * n).to_bytes(8, "little") for n in range(200)) + b"tail"
NOISE = random.Random(5).randbytes(10_000)
BODIES = json.loads((GOLDEN / "bodies.json").read_text())


def expanded(frame: Frame, body: Any) -> bytes:
    out = bytearray(frame.raw)
    expand(frame, memoryview(body), memoryview(out))
    return bytes(out)


def refused(body: bytes, raw: int = len(RAW)) -> str:
    with pytest.raises(FormatError) as caught:
        expanded(Frame(Codec.ZSTD, 0, raw, len(body)), body)
    return str(caught.value)


@given(
    raw=st.binary(min_size=1, max_size=300) | st.binary(min_size=1, max_size=9).map(lambda data: data * 3000),
    item=st.integers(1, 300),
    level=st.integers(-7, 9),
    shuffled=st.booleans(),
)
def test_what_was_compressed_comes_back(raw: bytes, item: int, level: int, shuffled: bool) -> None:
    frame, body = compress(memoryview(raw), item, level, shuffled=shuffled)
    assert frame.raw == len(raw)
    assert frame.body == len(memoryview(body)) <= len(raw)
    assert expanded(frame, body) == raw


def test_the_longest_chunk_comes_back() -> None:
    raw = memoryview((NOISE + bytes(6_777)) * 1000)
    frame, body = compress(raw, 8, 3, shuffled=False)
    assert frame == Frame(Codec.ZSTD, 0, 16_777_000, len(memoryview(body)))
    assert expanded(frame, body) == raw


def test_what_does_not_shrink_is_stored_as_it_lies_in_memory() -> None:
    raw = memoryview(NOISE)
    for shuffled in (False, True):
        frame, body = compress(raw, 8, 3, shuffled=shuffled)
        assert frame == Frame(Codec.RAW, 0, len(raw), len(raw))
        assert body is raw


def test_numbers_shrink_further_when_they_are_shuffled() -> None:
    plain, _ = compress(memoryview(RAW), 8, 1, shuffled=False)
    by_bytes, _ = compress(memoryview(RAW), 8, 1, shuffled=True)
    assert (by_bytes.codec, by_bytes.item) == (Codec.SHUFFLED_ZSTD, 8)
    assert by_bytes.body < plain.body


@pytest.mark.parametrize("item", [1, 256, 65_536])
def test_items_that_no_frame_can_name_are_not_shuffled(item: int) -> None:
    frame, _ = compress(memoryview(RAW), item, 1, shuffled=True)
    assert (frame.codec, frame.item) == (Codec.ZSTD, 0)


@pytest.mark.parametrize("golden", BODIES, ids=[golden["name"] for golden in BODIES])
def test_old_bodies_stay_readable(golden: dict[str, Any]) -> None:
    body = bytes.fromhex(golden["body"])
    assert expanded(Frame(Codec(golden["codec"]), golden["item"], len(RAW), len(body)), body) == RAW


# ---- what is refused ----


@given(st.binary(max_size=200))
def test_any_bytes_are_refused(body: bytes) -> None:
    refused(body)


@given(st.integers(0, len(BODIES) - 1), st.integers(0, 1 << 20))
def test_a_turned_bit_is_refused_or_gives_as_many_bytes(number: int, bit: int) -> None:
    golden = BODIES[number]
    body = bytearray.fromhex(golden["body"])
    body[bit // 8 % len(body)] ^= 1 << bit % 8
    try:
        expanded(Frame(Codec(golden["codec"]), golden["item"], len(RAW), len(body)), body)
    except FormatError:
        return


@given(st.integers(0, len(zstandard.compress(RAW)) - 1))
def test_a_body_that_is_cut_short_is_refused(length: int) -> None:
    refused(zstandard.compress(RAW)[:length])


@pytest.mark.parametrize("tail", [b"\0", b"tail", zstandard.compress(b"another frame")])
def test_what_follows_the_frame_is_refused(tail: bytes) -> None:
    refused(zstandard.compress(RAW) + tail)


@pytest.mark.parametrize("raw", [len(RAW) - 1, len(RAW) + 1, 1, 16 << 20])
def test_another_length_is_refused(raw: int) -> None:
    assert f"the manifest says {raw}" in refused(zstandard.compress(RAW), raw)


@pytest.mark.parametrize("size_is_said", [True, False])
def test_a_bomb_ends_at_the_length_that_it_may_have(size_is_said: bool) -> None:
    writer = zstandard.ZstdCompressor(write_content_size=size_is_said).compressobj(size=1 << 28)
    bomb = b"".join(writer.compress(bytes(1 << 24)) for _ in range(16)) + writer.flush()
    assert len(bomb) < 100_000
    assert "decompresses to more bytes" in refused(bomb)


def test_a_dictionary_is_refused() -> None:
    samples: list[bytes | bytearray | memoryview] = [
        random.Random(n).randbytes(60) + b"what all of them have" * 3 for n in range(1000)
    ]
    words = zstandard.train_dictionary(2000, samples)
    for id_is_said in (True, False):
        frame = zstandard.ZstdCompressor(dict_data=words, write_dict_id=id_is_said).compress(samples[7])
        refused(frame, len(samples[7]))


def test_a_window_longer_than_any_chunk_is_refused() -> None:
    def with_window(log: int) -> bytes:
        parameters = zstandard.ZstdCompressionParameters(window_log=log, write_content_size=False)
        writer = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
        return writer.compress(RAW) + writer.flush()

    assert MAX_WINDOW == 1 << 24
    longest = with_window(24)
    assert expanded(Frame(Codec.ZSTD, 0, len(RAW), len(longest)), longest) == RAW
    assert "too much memory" in refused(with_window(25))


def test_buffers_of_other_lengths_than_the_frame_says_are_the_callers_mistake() -> None:
    frame, body = compress(memoryview(RAW), 8, 1, shuffled=False)
    for body_length, raw_length in ((frame.body - 1, frame.raw), (frame.body, frame.raw + 1)):
        with pytest.raises(ValueError, match="of a frame that says"):
            expand(frame, memoryview(body)[:body_length], memoryview(bytearray(raw_length)))
