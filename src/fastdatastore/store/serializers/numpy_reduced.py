"""How arrays and scalars of NumPy are pickled: as calls of names that NumPy 1 and 2 both have."""

from __future__ import annotations

import operator
from pickle import PickleBuffer
from typing import Any

from fastdatastore.store.serializers.base import require
from fastdatastore.store.serializers.numpy_array import is_plain, memory_of

np = require("numpy")

_SCALARS = frozenset("bBhHiIlLqQefdFD")
# Booleans, whose class has another name in each of the two, and what NumPy pickles by private ones.
_ITEMS = (np.bool_, np.datetime64, np.timedelta64, np.void)
_TEXTS = {np.str_: str, np.bytes_: bytes}


class _Writable:
    """Gives out an array's memory as writable, though nobody writes to it here.

    A pickle tells read-only memory from other, and would come back read-only.
    """

    def __init__(self, array: Any) -> None:
        interface = array.__array_interface__
        self.__array_interface__ = {**interface, "data": (interface["data"][0], False)}
        self._owner = array


def reduced(obj: Any, *, in_band: bool) -> Any:
    """What __reduce__ of such an object should say, or NotImplemented for all others.

    Args:
        in_band: The protocol knows of no buffers.
    """
    kind = type(obj)
    if kind is np.ndarray and is_plain(obj.dtype):
        return _array(obj, in_band)
    if isinstance(obj, np.generic) and kind.__module__ == "numpy" and obj.dtype.char in _SCALARS:
        item = obj.item()
        if item == item or kind(item).tobytes() == obj.tobytes():
            return kind, (item,)
        return operator.getitem, (np.array(obj), ())  # a signalling NaN, which Python's float makes a quiet one of
    if kind in _ITEMS and is_plain(obj.dtype):
        return operator.getitem, (np.array(obj), ())
    if kind in _TEXTS:
        return kind, (_TEXTS[kind](obj),)
    return NotImplemented


def _array(array: Any, in_band: bool) -> Any:
    plain = np.dtype(array.dtype.str) == array.dtype
    dtype = array.dtype.str if plain else array.dtype
    order, memory = memory_of(array)
    if not memory.nbytes:
        return np.empty, (array.shape, dtype, order)
    if in_band:
        return np.ndarray, (array.shape, dtype, bytearray(memory), 0, None, order)
    size = array.dtype.itemsize
    flat = np.frombuffer(memory, f"u{size}" if size in (2, 4, 8) else "u1")
    if not flat.flags.writeable:
        flat = np.asarray(_Writable(flat))
    return np.ndarray, (array.shape, dtype, PickleBuffer(flat), 0, None, order)
