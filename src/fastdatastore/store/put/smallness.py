"""Which objects are serialized sooner than another thread has woken up."""

from __future__ import annotations

from typing import Any

_ATOMS = (type(None), bool, int, float, complex)
_TEXTS = (str, bytes, bytearray)
_CONTAINERS = (list, tuple, set, frozenset)
_MOST_VISITS = 1000
_MOST_BYTES = 64 << 10


def is_small(obj: Any) -> bool:
    """Whether it is plain data of some KiB. Runs nothing of the object's own; what it does not know is not small."""
    waiting: list[Any] = [obj]
    visits = size = 0
    while waiting:
        part = waiting.pop()
        kind = type(part)
        visits += 1
        if kind in _TEXTS:
            size += len(part)
        elif kind is dict:
            visits += len(part)
            if visits <= _MOST_VISITS:
                waiting += part.keys()
                waiting += part.values()
        elif kind in _CONTAINERS:
            visits += len(part)
            if visits <= _MOST_VISITS:
                waiting += part
        elif kind is int:
            size += part.bit_length() // 8
        elif kind.__module__ == "numpy" and hasattr(kind, "nbytes"):
            if part.dtype.hasobject:
                return False
            size += part.nbytes
        elif kind not in _ATOMS:
            return False
        if visits > _MOST_VISITS or size > _MOST_BYTES:
            return False
    return True
