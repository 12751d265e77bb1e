"""CRC-32, CRC-32C and CRC-64/NVME without native code of our own.

CRC-32 is zlib's. The others are awscrt's where it is installed (pip install awscrt), at several GB/s; else they are
computed on Python's long integers, at about 100 MB/s (CRC-64) and 150 MB/s (CRC-32C) on one core of 2026.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

from fastdatastore.engine.planes.portable import polynomial
from fastdatastore.engine.planes.portable.constants import CRC32, CRC32C, CRC64NVME

if TYPE_CHECKING:
    from typing_extensions import Buffer

# Bits, and the polynomial with its bits reversed.
_WIDTHS = {CRC32: 32, CRC32C: 32, CRC64NVME: 64}
_POLYNOMIALS = {CRC32: 0xEDB88320, CRC32C: 0x82F63B78, CRC64NVME: 0x9A6C9329AC4BC9B5}
_AWSCRT_NAMES = {CRC32C: "crc32c", CRC64NVME: "crc64nvme"}
_HEADERS = {CRC32: "x-amz-checksum-crc32", CRC32C: "x-amz-checksum-crc32c", CRC64NVME: "x-amz-checksum-crc64nvme"}

# Measured: the rate on long integers is best where a block and its halves stay in the second-level cache.
_BLOCK = 64 << 10

_Function = Callable[[Any, int], int]


def crc(algorithm: int, data: Buffer, before: int = 0, /) -> int:
    """The CRC of `data` after bytes of CRC `before`."""
    _check(algorithm)
    return _function(algorithm)[1](memoryview(data).cast("B"), before & ((1 << _WIDTHS[algorithm]) - 1))


def crc_combine(algorithm: int, a: int, b: int, length_b: int, /) -> int:
    """The CRC of bytes of CRC `a` followed by `length_b` bytes of CRC `b`."""
    _check(algorithm)
    width, poly = _WIDTHS[algorithm], _POLYNOMIALS[algorithm]
    return polynomial.multiply(a, polynomial.power_of_x(8 * length_b, width, poly), width, poly) ^ b


def crc_kernel(algorithm: int, /) -> str:
    """The name of what computes it: "zlib", "awscrt" or "python"."""
    _check(algorithm)
    return _function(algorithm)[0]


def header_of(algorithm: int, value: int) -> tuple[str, str]:
    """The header that tells a server the CRC of a body: its name, and the value in base64."""
    import base64

    return _HEADERS[algorithm], base64.b64encode(value.to_bytes(_WIDTHS[algorithm] // 8, "big")).decode()


def _check(algorithm: int) -> None:
    if algorithm not in _WIDTHS:
        raise ValueError(f"algorithm must be CRC32, CRC32C or CRC64NVME, got {algorithm}")


@cache
def _function(algorithm: int) -> tuple[str, _Function]:
    if algorithm == CRC32:
        return "zlib", zlib.crc32
    try:
        from awscrt import checksums

        return "awscrt", getattr(checksums, _AWSCRT_NAMES[algorithm])
    except (ImportError, AttributeError):  # CRC-64/NVME came to awscrt later than CRC-32C
        return "python", lambda data, before: _in_python(algorithm, data, before)


def _in_python(algorithm: int, data: memoryview, before: int) -> int:
    width, poly = _WIDTHS[algorithm], _POLYNOMIALS[algorithm]
    ones = (1 << width) - 1
    register = before ^ ones
    for start in range(0, len(data), _BLOCK):
        block = data[start : start + _BLOCK]
        bits = 8 * len(block)
        message = int.from_bytes(block, "little")
        if bits >= width:
            register = polynomial.remainder(message ^ register, bits, width, poly)
        else:  # the register reaches beyond the block
            register = (
                polynomial.remainder((message ^ register) & ((1 << bits) - 1), bits, width, poly) ^ register >> bits
            )
    return register ^ ones
