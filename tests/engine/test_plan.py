"""Parts cover an object exactly, in at most 10,000 pieces that S3 takes."""

from __future__ import annotations

from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastdatastore.config import GIB, MIB, Settings
from fastdatastore.engine import plan
from fastdatastore.engine.endpoints import Learnt, Limits
from fastdatastore.engine.put.job import PutJob
from fastdatastore.engine.put.multipart import Multipart
from fastdatastore.engine.put.single import Single
from fastdatastore.engine.ranges import ByteRange
from fastdatastore.errors import ConfigurationError


@pytest.mark.fault(48)
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


@pytest.mark.parametrize("preferred", [5 * MIB, 8 * MIB, 64 * MIB, 5 << 30])
def test_the_parts_of_a_stream_hold_the_largest_object_that_s3_takes(preferred: int) -> None:
    sizes = [plan.stream_part_size(number, preferred, Limits()) for number in range(1, plan.MAX_PARTS + 1)]
    assert sizes[:100] == [preferred] * 100
    assert sizes == sorted(sizes)
    assert sizes[-1] <= plan.MAX_PART
    assert sum(sizes) >= plan.MAX_OBJECT


def test_the_parts_of_a_stream_are_small_while_it_is() -> None:
    total = 0
    seen: dict[int, int] = {}
    for number in range(1, plan.MAX_PARTS + 1):
        size = plan.stream_part_size(number, 8 * MIB, Limits())
        total += size
        for mark in (10 * GIB, 100 * GIB, plan.MAX_OBJECT):
            if total >= mark:
                seen.setdefault(mark, size // MIB)
    assert list(seen.values()) == [18, 112, 1608]


def test_the_parts_of_a_stream_fit_the_endpoint() -> None:
    fewer = [plan.stream_part_size(number, 8 * MIB, Limits(max_parts=1000)) for number in range(1, 1001)]
    assert max(fewer) == plan.MAX_PART
    assert sum(fewer) > 3 << 40
    equal = Limits(equal_parts=True)
    assert {plan.stream_part_size(number, 8 * MIB, equal) for number in range(1, 10_001)} == {8 * MIB}


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


@given(st.integers(1, plan.MAX_OBJECT), st.integers(5 * MIB, plan.MAX_PART), st.integers(1, 200))
def test_no_part_is_larger_than_s3_takes(size: int, preferred: int, streams: int) -> None:
    assert plan.in_whole_rounds(size, preferred, streams) <= plan.MAX_PART


@pytest.mark.parametrize(("size", "phase"), [(plan.MAX_PART, Single), (plan.MAX_PART + 1, Multipart)])
def test_one_request_takes_what_s3_takes_in_one(size: int, phase: type[Single] | type[Multipart]) -> None:
    assert type(put_job(size, Limits(), part_size=3 * GIB).first_phase()) is phase


def test_what_a_servers_parts_cannot_hold_is_refused_before_anything_is_sent() -> None:
    with pytest.raises(ConfigurationError, match="1,000 parts, of 5 GiB at most"):
        put_job(plan.MAX_OBJECT, Limits(max_parts=1000), part_size=8 * MIB).first_phase()


def put_job(size: int, limits: Limits, part_size: int) -> PutJob:
    remote = mock.Mock(limits=limits, settings=Settings(part_size=part_size), is_tls=True)
    remote.learnt.return_value = Learnt()
    remote.concurrency.of.return_value.limit = 2
    source = mock.Mock(size=size, in_place=True)
    return PutJob(remote, "bucket", "key", lambda: source)
