"""Canonical JSON: the one way to write a value, so that equal values have equal digests. RFC 8785 without floats."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TypeAlias

Json: TypeAlias = "bool | int | str | list[Json] | dict[str, Json] | None"

MAX_INTEGER = (1 << 53) - 1
MAX_DEPTH = 32


class NotCanonical(ValueError):
    """A value that canonical JSON cannot hold, or bytes that are not canonical JSON; says where."""


def encode(value: object) -> bytes:
    """The canonical bytes of a value: None, bool, int, str, and lists, tuples and dicts of them.

    Raises:
        NotCanonical: It is or holds something else: a float, a lone surrogate, an integer beyond ±(2^53 - 1), a name
            that is no str, more than MAX_DEPTH levels.
    """
    text = json.dumps(_checked(value, "$", 0), ensure_ascii=False, separators=(",", ":"))
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise NotCanonical(f"the lone surrogate {error.object[error.start]!r} cannot be written as UTF-8") from None


def decode(data: bytes | memoryview, *, values: int = 1 << 20) -> Json:
    """The value of canonical bytes; encode() gives exactly these bytes again.

    Args:
        data: The caller has bounded their size.
        values: The most that their weight() may be. A value takes about 100 bytes of memory.

    Raises:
        NotCanonical: They are not canonical JSON.
    """
    data = bytes(data)
    if weight(data) > values:
        raise NotCanonical(f"it holds more than {values:,} values")
    try:
        value: Json = json.loads(data.decode(), parse_float=_no_float, parse_constant=_no_float)
    except NotCanonical:
        raise
    except (ValueError, RecursionError) as error:
        raise NotCanonical(f"it is not JSON: {error}") from None
    if encode(value) != data:
        raise NotCanonical("it is JSON, but not written in the canonical way")
    return value


def weight(data: bytes) -> int:
    """No fewer than the values that canonical bytes hold, but for one: commas and brackets, also those in strings."""
    return data.count(b",") + data.count(b"[") + data.count(b"{")


def _no_float(text: str) -> None:
    raise NotCanonical(f"it holds the number {text[:40]}, which is no integer")


def _checked(value: object, place: str, depth: int) -> object:
    """The value with the members of all objects in canonical order."""
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int):
        if abs(value) > MAX_INTEGER:
            raise NotCanonical(f"{place} is {value.bit_length()} bits long; the most is 2^53 - 1; write it as a string")
        return value
    if depth >= MAX_DEPTH:
        raise NotCanonical(f"{place} lies deeper than {MAX_DEPTH} levels")
    if isinstance(value, list | tuple):
        return [_checked(part, f"{place}[{index}]", depth + 1) for index, part in enumerate(value)]
    if isinstance(value, Mapping):
        for name in value:
            if not isinstance(name, str):
                raise NotCanonical(f"{place} has the name {name!r}, which is no string")
        return {name: _checked(value[name], f"{place}.{name}", depth + 1) for name in sorted(value, key=_utf16)}
    raise NotCanonical(f"{place} is a {type(value).__name__}, which JSON without floats cannot hold")


def _utf16(name: str) -> bytes:
    """RFC 8785 sorts by UTF-16 code units; that differs from code points above U+FFFF."""
    return name.encode("utf-16-be", "surrogatepass")
