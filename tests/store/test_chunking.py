"""Where chunks are cut: by the definition of docs/format.md, the same on every machine and build, for ever."""

from __future__ import annotations

import hashlib
import itertools
import json
import random
import subprocess
import sys
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastdatastore.store import portable_chunker
from fastdatastore.store.chunking import FDS_1, Chunking, cut
from tests.store.formats import GOLDEN, golden_data

native = pytest.importorskip("fastdatastore._native")

GEAR = [
    int.from_bytes(hashlib.sha256(b"fastdatastore gear 1" + bytes([value])).digest()[:8], "little")
    for value in range(256)
]


def by_definition(data: bytes, item: int, minimum: int, maximum: int, bits: int) -> list[int]:
    """The sentences of docs/format.md, one after the other."""
    lengths = []
    start = 0
    while start < len(data):
        for position in range(start + minimum, start + maximum + 1):
            if position >= len(data):
                end = len(data)
                break
            hash_ = sum(GEAR[data[position - 1 - i]] << i for i in range(64)) % 2**64
            if hash_ >> (64 - bits) == 0 or position == start + maximum:
                end = position - position % item
                break
        lengths.append(end - start)
        start = end
    return lengths


@st.composite
def cases(draw: st.DrawFn) -> tuple[bytes, int, int, int, int]:
    minimum = draw(st.integers(64, 200))
    maximum = draw(st.integers(minimum, minimum + 400))
    data = draw(st.one_of(st.binary(max_size=1500), st.builds(pattern, st.integers(0, 1500), st.integers())))
    return data, draw(st.integers(1, minimum)), minimum, maximum, draw(st.integers(1, 12))


def pattern(size: int, seed: int) -> bytes:
    return random.Random(seed).randbytes(size)


@pytest.mark.parametrize("cut_by", [native.cut, portable_chunker.cut], ids=["native", "portable"])
@given(case=cases())
@settings(max_examples=60, deadline=None)
def test_cuts_are_where_the_definition_has_them(
    cut_by: Callable[..., list[int]], case: tuple[bytes, int, int, int, int]
) -> None:
    assert cut_by(*case) == by_definition(*case)


@pytest.mark.parametrize(
    "case", json.loads((GOLDEN / "cuts.json").read_text()), ids=lambda case: f"{case['data']}-{case['item']}"
)
def test_the_formats_own_cuts_never_change(case: dict[str, object]) -> None:
    data = golden_data(str(case["data"]))
    assert hashlib.sha256(data).hexdigest() == case["sha256"]
    assert cut(data, int(str(case["item"]))) == case["lengths"]


def test_the_portable_chunker_cuts_full_sized_chunks_as_the_native_one() -> None:
    data = golden_data("counter")[: 8 << 20]
    assert portable_chunker.cut(data, 24, 6 << 20, 16 << 20, 21) == native.cut(data, 24, 6 << 20, 16 << 20, 21)


def test_a_build_without_the_native_module_has_the_portable_chunker() -> None:
    program = (
        "import sys; sys.modules['fastdatastore._native'] = None\n"
        "from fastdatastore.store import chunking, portable_chunker\n"
        "assert chunking._cut is portable_chunker.cut"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_the_formats_chunking_is_frozen() -> None:
    assert Chunking(6_291_456, 16_777_216, 21) == FDS_1
    assert FDS_1.average == 8 << 20
    assert cut(b"") == []


def test_where_a_chunk_ends_depends_on_its_own_bytes_alone() -> None:
    chunking = Chunking(100, 400, 7)
    data = pattern(20_000, 1)
    lengths = cut(data, 8, chunking)
    for n in range(len(lengths)):
        assert cut(data[sum(lengths[:n]) :], 8, chunking) == lengths[n:]


def test_bytes_put_in_move_few_cuts() -> None:
    chunking = Chunking(1_000, 4_000, 10)
    data = pattern(200_000, 2)
    changed = data[:50_000] + b"one more thing" + data[50_000:]

    def chunks(whole: bytes) -> set[bytes]:
        ends = list(itertools.accumulate(cut(whole, 1, chunking)))
        return {whole[start:end] for start, end in zip([0, *ends], ends, strict=False)}

    assert len(chunks(changed) - chunks(data)) <= 4


@pytest.mark.parametrize("cut_by", [native.cut, portable_chunker.cut], ids=["native", "portable"])
@pytest.mark.parametrize(
    "arguments",
    [(0, 64, 64, 1), (1, 63, 64, 1), (1, 65, 64, 1), (65, 64, 64, 1), (1, 64, 64, 0), (1, 64, 64, 65), (-1, 64, 64, 9)],
)
def test_a_chunking_that_makes_no_sense_is_refused(
    cut_by: Callable[..., list[int]], arguments: tuple[int, int, int, int]
) -> None:
    with pytest.raises(ValueError, match="cut needs 1 <= item <= minimum"):
        cut_by(b"bytes", *arguments)


def test_strided_memory_is_refused() -> None:
    with pytest.raises((BufferError, TypeError, ValueError)):
        cut(memoryview(bytes(200))[::2])


def test_the_buffer_is_let_go_of() -> None:
    data = bytearray(1000)
    cut(data, 1, Chunking(64, 128, 8))
    with pytest.raises(ValueError, match="cut needs"):
        cut(data, 0)
    data.append(1)
