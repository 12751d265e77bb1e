"""Buffers become segments and segments chunks: every byte where the format has it."""

from __future__ import annotations

import random
from dataclasses import replace
from itertools import accumulate

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastdatastore.store.chunking import MAX_ITEM, Chunking, cut
from fastdatastore.store.layout import OWN_SEGMENT_FROM, Segment, lay_out
from fastdatastore.store.placement import StoredBuffer, place
from tests.store.formats import SPECS, Spec


def spec(size: int, align: int = 64, item: int = 1) -> Spec:
    return Spec(memoryview(random.Random(size).randbytes(size)), align, item)


def test_small_buffers_share_the_first_segment_and_large_ones_have_their_own() -> None:
    specs = [spec(OWN_SEGMENT_FROM, item=8), spec(10), spec(OWN_SEGMENT_FROM + 5, item=12), spec(OWN_SEGMENT_FROM - 1)]
    layout = lay_out(specs)
    assert [buffer.segment for buffer in layout.buffers] == [1, 0, 2, 0]
    assert [segment.item for segment in layout.segments] == [1, 8, 12]
    assert [segment.length for segment in layout.segments] == [
        64 + OWN_SEGMENT_FROM - 1,
        *(len(specs[i].view) for i in (0, 2)),
    ]
    assert layout.segments[1].read(0, OWN_SEGMENT_FROM).obj is specs[0].view.obj


def test_without_small_buffers_there_is_no_segment_for_them() -> None:
    assert [segment.length for segment in lay_out([spec(OWN_SEGMENT_FROM)]).segments] == [OWN_SEGMENT_FROM]
    assert lay_out([]).segments == ()


@given(st.lists(SPECS, max_size=12))
def test_each_buffer_is_aligned_and_zeros_lie_between(specs: list[Spec]) -> None:
    layout = lay_out(specs)
    offsets, lengths = place(layout.buffers, len(layout.segments))
    assert lengths == [segment.length for segment in layout.segments]
    whole = b"".join(bytes(segment.read(0, segment.length)) for segment in layout.segments)
    position = 0
    for one, offset in zip(specs, offsets, strict=True):
        assert offset % one.align == 0
        assert offset - position < one.align
        assert not any(whole[position:offset])
        position = offset + len(one.view)
        assert whole[offset:position] == one.view
    assert len(whole) == position


@given(st.lists(SPECS, min_size=1, max_size=12), st.data())
def test_any_stretch_of_a_segment_can_be_read(specs: list[Spec], data: st.DataObject) -> None:
    segment = lay_out(specs).segments[0]
    whole = bytes(segment.read(0, segment.length))
    start = data.draw(st.integers(0, segment.length))
    length = data.draw(st.integers(0, segment.length - start))
    assert segment.read(start, length) == whole[start : start + length]


@given(st.integers(0, 5000), st.integers(1, 64), st.integers(64, 200), st.integers(0, 200), st.integers(1, 9))
@settings(deadline=None)
def test_a_segment_is_cut_the_same_in_windows_as_at_once(
    size: int, item: int, minimum: int, more: int, bits: int
) -> None:
    chunking = Chunking(minimum, minimum + more, bits)
    data = memoryview(random.Random(size).randbytes(size))
    segment = Segment(item, size, (data,), (0,))
    assert list(segment.cut(chunking)) == cut(data, item, chunking)


def test_packed_buffers_are_cut_as_if_they_were_joined() -> None:
    chunking = Chunking(200, 700, 8)
    packed = lay_out([spec(size) for size in range(1, 300, 7)]).segments[0]
    lengths = list(packed.cut(chunking))
    assert lengths == cut(packed.read(0, packed.length), 1, chunking)
    assert sum(lengths) == packed.length
    assert len(lengths) > 5


def test_an_append_changes_the_last_two_chunks_at_most() -> None:
    chunking = Chunking(1000, 4000, 10)
    data = random.Random(5).randbytes(100_000)
    before = list(accumulate(cut(data, 8, chunking)))
    after = list(accumulate(cut(data + bytes(5_000), 8, chunking)))
    assert after[: len(before) - 1] == before[:-1]


def test_an_item_beyond_the_most_counts_as_one() -> None:
    items = [lay_out([spec(OWN_SEGMENT_FROM, item=item)]).segments[0].item for item in (MAX_ITEM, MAX_ITEM + 1)]
    assert items == [MAX_ITEM, 1]


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"align": 3}, "buffer 1 has align 3"),
        ({"align": 8192}, "align 8192"),
        ({"align": 0}, "align 0"),
        ({"item": 0}, "item 0"),
        ({"view": memoryview(bytes(8)).cast("d")}, "items of 8 bytes"),
        ({"view": memoryview(bytes(8))[::2]}, "contiguous"),
        ({"view": memoryview(bytes(8)).cast("B", (2, 4))}, "2 dimensions"),
    ],
)
def test_what_a_serializer_got_wrong_is_named(wrong: dict[str, object], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        lay_out([spec(5), replace(spec(8), **wrong)])  # type: ignore[arg-type]


def test_empty_buffers_have_a_place_too() -> None:
    assert place([StoredBuffer(10, 1, 0), StoredBuffer(0, 64, 0), StoredBuffer(3, 1, 0)], 1) == ([0, 64, 64], [67])
    assert list(lay_out([spec(0)]).segments[0].cut()) == []
