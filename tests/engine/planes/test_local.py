"""What a data plane offers without a network: checksums, encoding, recycled memory."""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastdatastore.engine.planes.portable import checksums, constants

CHECK = {"CRC32": 0xCBF43926, "CRC32C": 0xE3069283, "CRC64NVME": 0xAE8B14860A799888}
KIB, MIB = 1 << 10, 1 << 20


@pytest.fixture(params=["fastdatastore._native", "fastdatastore.engine.planes.portable"])
def local(request: pytest.FixtureRequest) -> Any:
    """Either module; needs no aiobotocore."""
    if request.param == "fastdatastore._native":
        return pytest.importorskip(request.param)
    return import_module(request.param)


# ---- checksums ----


@pytest.mark.parametrize("algorithm", CHECK)
def test_the_check_value_of_the_catalogue(local: Any, algorithm: str) -> None:
    number = getattr(local, algorithm)
    assert local.crc(number, b"123456789") == CHECK[algorithm]
    assert local.crc(number, b"6789", local.crc(number, b"12345")) == CHECK[algorithm]
    assert local.crc(number, b"") == 0
    assert local.crc_kernel(number)


def test_there_are_no_other_algorithms(local: Any) -> None:
    for number in (-1, 3):
        with pytest.raises(ValueError, match="CRC32, CRC32C or CRC64NVME"):
            local.crc(number, b"")


def by_the_book(data: bytes, before: int, width: int, polynomial: int) -> int:
    """Bit by bit."""
    register = before ^ ((1 << width) - 1)
    for byte in data:
        register ^= byte
        for _ in range(8):
            register = register >> 1 ^ (polynomial if register & 1 else 0)
    return register ^ ((1 << width) - 1)


@pytest.mark.parametrize("algorithm", [constants.CRC32, constants.CRC32C, constants.CRC64NVME])
@given(data=st.binary(max_size=300), cut=st.integers(0, 300))
def test_python_computes_what_the_definition_says(algorithm: int, data: bytes, cut: int) -> None:
    width, polynomial = checksums._WIDTHS[algorithm], checksums._POLYNOMIALS[algorithm]
    a, b = data[:cut], data[cut:]
    before = by_the_book(a, 0, width, polynomial)
    expected = by_the_book(b, before, width, polynomial)
    assert checksums._in_python(algorithm, memoryview(b), before) == expected
    assert checksums.crc_combine(algorithm, before, by_the_book(b, 0, width, polynomial), len(b)) == expected


def test_python_computes_long_ones() -> None:
    data = os.urandom(3 * 64 * KIB + 3)
    assert checksums._in_python(constants.CRC32, memoryview(data), 0) == zlib.crc32(data)


# ---- encoding ----


def test_encoding(local: Any) -> None:
    assert local.uri_encode("a/b c~é+%") == "a%2Fb%20c~%C3%A9%2B%25"
    assert local.uri_encode("a/b", True) == "a/b"
    assert local.uri_encode("AZaz09-._~") == "AZaz09-._~"


def test_the_tls_library_has_a_name(local: Any) -> None:
    assert "SSL" in local.tls_library()


# ---- memory ----


def test_a_region_is_writable_memory_of_its_size(local: Any) -> None:
    pool = local.BufferPool(0)
    for size in (0, 1, 64 * KIB, 3 * MIB + 1):
        region = pool.take(size)
        view = memoryview(region)
        assert (len(region), view.nbytes, view.format, view.readonly) == (size, size, "B", False)
        view[:] = b"x" * size
        assert bytes(region) == b"x" * size
    with pytest.raises(ValueError, match="size must be"):
        pool.take(-1)
    with pytest.raises(ValueError, match="limit must be"):
        local.BufferPool(-1)


def test_a_region_is_recycled_when_its_last_view_is_gone(local: Any) -> None:
    pool = local.BufferPool(64 * MIB)
    view = memoryview(pool.take(3 * MIB))[5:10]
    assert pool.state() == _state(in_use_bytes=4 * MIB, in_use_regions=1, mapped=1)
    view[0] = 7
    del view
    assert pool.state() == _state(free_bytes=4 * MIB, free_regions=1, mapped=1)
    again = pool.take(4 * MIB)
    assert pool.state() == _state(in_use_bytes=4 * MIB, in_use_regions=1, mapped=1, recycled=1)
    other = pool.take(4 * MIB)
    assert pool.state()["mapped"] == 2
    del again, other
    assert "free: 8388608 bytes in 2 regions" in repr(pool)


def test_an_array_keeps_its_region_however_it_was_made(local: Any) -> None:
    pool = local.BufferPool(64 * MIB)
    makers: list[Callable[[memoryview], Any]] = [
        lambda view: np.ndarray((4,), "u1", view),  # lets go of the view
        lambda view: np.ndarray((2, 2), "u1", view.toreadonly()),
        lambda view: np.frombuffer(view, "u1", 4),
        lambda view: np.asarray(view),
        lambda view: view[3:].cast("b"),
    ]
    arrays = []
    for make in makers:
        region = pool.take(3 * MIB)
        pool.hand_over(region)
        arrays.append(make(memoryview(region)))
        del region
    assert pool.state()["handed_bytes"] == 4 * MIB * len(makers)
    assert pool.state()["free_regions"] == 0
    arrays.clear()
    assert pool.state()["free_regions"] == len(makers)


def test_a_much_larger_region_is_not_wasted(local: Any) -> None:
    pool = local.BufferPool(64 * MIB)
    pool.take(16 * MIB)
    small = pool.take(2 * MIB)
    assert pool.state()["free_bytes"] == 16 * MIB
    del small


def test_no_more_is_kept_than_the_limit(local: Any) -> None:
    pool = local.BufferPool(4 * MIB)
    regions = [pool.take(2 * MIB) for _ in range(4)]
    assert pool.state()["in_use_bytes"] == 8 * MIB
    del regions
    assert pool.state() == _state(free_bytes=4 * MIB, free_regions=2, mapped=4)
    pool.trim()
    assert pool.state() == _state(mapped=4)


def test_many_regions_in_use_come_back(local: Any) -> None:
    pool = local.BufferPool(64 * MIB)
    regions = [pool.take(1) for _ in range(200)]
    assert pool.state()["in_use_regions"] == 200
    del regions[::2]
    more = [pool.take(1) for _ in range(100)]
    assert pool.state()["in_use_regions"] == 200
    assert pool.state()["recycled"] == 100
    del more


def test_a_region_outlives_its_pool(local: Any) -> None:
    region = local.BufferPool(0).take(10)
    memoryview(region)[:] = b"0123456789"
    assert bytes(region) == b"0123456789"


def _state(**known: int) -> dict[str, int]:
    names = ("in_use_bytes", "in_use_regions", "handed_bytes", "free_bytes", "free_regions", "mapped", "recycled")
    return {name: known.get(name, 0) for name in names}
