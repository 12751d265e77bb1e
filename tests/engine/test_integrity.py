"""Checksums: as S3 writes them, of the whole from its pieces, and what a reply promises."""

from __future__ import annotations

import base64
import zlib
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastdatastore import _native
from fastdatastore.engine import integrity
from fastdatastore.engine.integrity import ALGORITHMS, Expected, expected_of

# Of "123456789": the check values of the CRC catalogue (CRC-64/NVME, CRC-32/ISCSI, CRC-32/ISO-HDLC).
CHECK = {"crc64nvme": 0xAE8B14860A799888, "crc32c": 0xE3069283, "crc32": 0xCBF43926}


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_published_check_values_hold(algorithm: str) -> None:
    assert _native.crc(ALGORITHMS[algorithm], b"123456789") == CHECK[algorithm]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@given(content=st.binary(max_size=500), cuts=st.lists(st.integers(0, 500), max_size=6), random=st.randoms())
def test_the_crc_of_the_pieces_combines_to_that_of_the_whole(
    algorithm: str, content: bytes, cuts: list[int], random: object
) -> None:
    edges = sorted({0, len(content), *(cut for cut in cuts if cut < len(content))})
    number = ALGORITHMS[algorithm]
    pieces = [(first, last - first, _native.crc(number, content[first:last])) for first, last in pairwise(edges)]
    random.shuffle(pieces)  # type: ignore[attr-defined]
    assert integrity.combine(algorithm, pieces) == _native.crc(number, content)


@given(st.binary(max_size=300), st.binary(max_size=300))
def test_a_crc_goes_on_from_the_one_before(a: bytes, b: bytes) -> None:
    for number in ALGORITHMS.values():
        assert _native.crc(number, b, _native.crc(number, a)) == _native.crc(number, a + b)
    assert _native.crc(_native.CRC32, a) == zlib.crc32(a)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@given(data=st.data())
def test_a_checksum_is_read_as_it_is_written(algorithm: str, data: st.DataObject) -> None:
    value = data.draw(st.integers(0, 256 ** integrity.WIDTHS[algorithm] - 1))
    text = integrity.encode(algorithm, value)
    assert len(base64.b64decode(text)) == integrity.WIDTHS[algorithm]
    assert integrity.decode(algorithm, text) == value


@pytest.mark.parametrize("text", ["", "x", "AAAAAA==-2", "AAAA", "AAAAAAAAAAA=AAAA", "ä", "not base64!"])
def test_what_is_no_checksum_of_the_whole_is_none(text: str) -> None:
    assert integrity.decode("crc64nvme", text) is None
    assert integrity.decode("crc32c", text) is None


CRC64 = integrity.encode("crc64nvme", 7)
CRC32C = integrity.encode("crc32c", 8)


@pytest.mark.fault(58)
@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"x-amz-checksum-crc64nvme": CRC64}, Expected("crc64nvme", 7, "crc64nvme")),
        ({"x-amz-checksum-crc32c": CRC32C, "x-amz-checksum-type": "FULL_OBJECT"}, Expected("crc32c", 8, "crc32c")),
        ({"x-amz-checksum-crc32c": CRC32C, "x-amz-checksum-crc64nvme": CRC64}, Expected("crc64nvme", 7, "crc64nvme")),
        ({"x-amz-checksum-crc32c": CRC32C + "-3", "x-amz-checksum-type": "COMPOSITE"}, None),
        ({"x-amz-checksum-crc32c": CRC32C + "-3"}, None),
        ({"x-amz-checksum-sha256": "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="}, None),
        ({"x-amz-checksum-crc64nvme": "rubbish"}, None),
        ({"x-amz-meta-fds-crc64nvme": CRC64}, Expected("crc64nvme", 7, "crc64nvme-metadata")),
        (
            {"x-amz-meta-fds-crc64nvme": CRC64, "x-amz-checksum-crc32c": CRC32C, "x-amz-checksum-type": "COMPOSITE"},
            Expected("crc64nvme", 7, "crc64nvme-metadata"),
        ),
    ],
)
def test_a_reply_promises_only_what_can_be_checked(headers: dict[str, str], expected: Expected | None) -> None:
    assert expected_of(headers) == expected
