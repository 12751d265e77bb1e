"""Parts cover an object exactly, in at most 10,000 pieces that S3 takes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fastdatastore.config import MIB
from fastdatastore.engine import plan
from fastdatastore.engine.get import ByteRange


@given(st.integers(0, plan.MAX_OBJECT), st.integers(5 * MIB, 64 * MIB))
def test_an_object_has_at_most_10_000_parts_of_at_least_5_mib(size: int, preferred: int) -> None:
    part_size = plan.part_size_for(size, preferred)
    assert -(-size // part_size) <= plan.MAX_PARTS
    assert part_size >= 5 * MIB
    assert part_size == preferred or part_size % MIB == 0


@given(st.integers(0, 10_000), st.integers(0, 10_000), st.integers(1, 500))
def test_parts_cover_the_bytes_exactly_and_in_order(start: int, length: int, part_size: int) -> None:
    cuts = plan.parts(start, start + length, part_size)
    at = start
    for offset, size in cuts:
        assert offset == at
        assert 0 < size <= part_size
        at += size
    assert at == start + length
    assert all(size == part_size for _, size in cuts[:-1])


@given(st.integers(0, 4 << 30), st.integers(5 * MIB, 16 * MIB), st.integers(1, 400))
def test_whole_rounds_are_of_parts_of_up_to_twice_the_preferred_size(size: int, preferred: int, streams: int) -> None:
    part_size = plan.in_whole_rounds(size, preferred, streams)
    assert preferred <= part_size <= 2 * preferred + plan.PAGE
    rounds = size // (preferred * streams)
    assert -(-size // part_size) <= rounds * streams or part_size == preferred


def test_a_gib_by_81_streams_is_one_round() -> None:
    assert -(-1024 * MIB // plan.in_whole_rounds(1024 * MIB, 8 * MIB, 81)) == 81


def test_the_largest_object_that_s3_takes_fits() -> None:
    assert plan.part_size_for(plan.MAX_OBJECT, 8 * MIB) == 525 * MIB
    assert plan.part_size_for(80_000 * MIB, 8 * MIB) == 8 * MIB
    assert plan.part_size_for(80_000 * MIB + 1, 8 * MIB) == 9 * MIB


@given(st.binary(max_size=60), st.integers(0, 70), st.one_of(st.none(), st.integers(1, 70)))
def test_a_range_within_an_object_is_what_a_slice_is(content: bytes, offset: int, length: int | None) -> None:
    first, size = ByteRange(offset, length).within(len(content))
    wanted = content[offset:] if length is None else content[offset : offset + length]
    assert content[first : first + size] == wanted
    assert size == len(wanted)


@given(st.binary(max_size=60), st.integers(1, 70))
def test_a_suffix_within_an_object_is_its_end(content: bytes, suffix: int) -> None:
    first, size = ByteRange(suffix=suffix).within(len(content))
    assert content[first : first + size] == content[-suffix:]


def test_ranges_are_written_as_http_wants_them() -> None:
    assert ByteRange(5, 10).header() == "bytes=5-14"
    assert ByteRange(5).header() == "bytes=5-"
    assert ByteRange(suffix=3).header() == "bytes=-3"
