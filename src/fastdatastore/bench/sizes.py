"""Sizes as people write them: 16KiB, 4 MiB, 1GB, 1e9, 4096."""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation

MAX_OBJECT = 5 << 40  # S3's largest object, 5 TiB

_UNITS = {
    "": 1,
    "b": 1,
    **{f"{prefix}ib": 1 << 10 * power for power, prefix in enumerate("kmgt", 1)},
    **{f"{prefix}b": 1000**power for power, prefix in enumerate("kmgt", 1)},
}
_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?(?:e\d{1,2})?)\s*([a-z]*)\s*", re.IGNORECASE | re.ASCII)


def parse_size(text: str) -> int:
    """The bytes that a size stands for.

    Raises:
        ValueError: It is no size, no whole number of bytes, or not from 1 byte to 5 TiB.
    """
    match = _SIZE.fullmatch(text)
    unit = _UNITS.get(match[2].lower()) if match else None
    try:
        value = Decimal(match[1]) * unit if match and unit else None
    except InvalidOperation:
        value = None
    if value is None:
        raise ValueError(f"{text!r} is no size; write it like 16KiB, 4MiB, 1GiB, 1e9 or 4096")
    if not 1 <= value <= MAX_OBJECT:
        raise ValueError(f"{text!r} is out of range; an object has 1 byte to 5TiB here")
    if value != int(value):
        raise ValueError(f"{text!r} is no whole number of bytes")
    return int(value)


def format_size(size: float) -> str:
    """Three digits in the largest binary unit that makes it at least 1: "512 MiB", "1.03 GiB", "17 B"."""
    units = ("B", "KiB", "MiB", "GiB", "TiB")
    index = 0
    while size >= 1024 and index < len(units) - 1:
        size /= 1024
        index += 1
    digits = f"{size:.{2 if size < 10 else 1 if size < 100 else 0}f}"
    return f"{digits.rstrip('0').rstrip('.') if '.' in digits else digits} {units[index]}"
