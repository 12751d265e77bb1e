"""NumPy arrays: dtype, shape and order in the header, and the array's memory as the one buffer.

Header: {"dtype": …, "order": "C" | "F", "shape": [lengths]}. A dtype is written as its string ("<f8", ">i2", "|S5",
"<M8[ns]"), as {"base": dtype, "shape": [lengths]} for a subarray, or as {"aligned": bool, "fields": [[name, dtype,
offset, title or null], …], "itemsize": bytes} for a structure. "F" only where it differs from "C".

Subclasses (masked, record, memory-mapped, matrix), arrays of objects or of dtypes made by others go elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from fastdatastore.store.serializers.base import BufferSpec, Description, Header, Json, Serialized, bytes_of, require

np = require("numpy")

# No "O", which would be pointers, and no "g" as such: longdouble is "f" with the size that it has on this machine.
_PLAIN = re.compile(r"[<>|][?bBiufcSUVmM]\d*(\[\d*[a-zA-Z]+\])?")
# Canonical JSON holds 32 levels, and each structure or subarray takes up to three of them.
_MOST_LEVELS = 8


class NumpyArray:
    id = "numpy"
    version = 1
    uses_pickle = False

    def accepts(self, obj: Any) -> bool:
        return type(obj) is np.ndarray and is_plain(obj.dtype)

    def dump(self, obj: Any) -> Serialized:
        """Only an array that does not lie in one piece in memory is copied."""
        order, flat = memory_of(obj)
        header = {"dtype": encode_dtype(obj.dtype), "order": order, "shape": list(obj.shape)}
        return Serialized(self.id, self.version, header, [BufferSpec(flat, item=max(1, obj.dtype.itemsize))])

    def load(self, version: int, header: Header, buffers: list[memoryview], *, readonly: bool) -> Any:
        (buffer,) = buffers
        return over(buffer, decode_dtype(header["dtype"]), header["shape"], header["order"], readonly=readonly)

    def describe(self, header: Header, lengths: Sequence[int], buffers: Sequence[memoryview | None]) -> Description:
        return Description("numpy.ndarray", tuple(header["shape"]), str(decode_dtype(header["dtype"])))


def memory_of(array: Any) -> tuple[str, memoryview]:
    """An array's order and bytes; a copy of them only if they do not lie in one piece."""
    order = "F" if array.flags.f_contiguous and not array.flags.c_contiguous else "C"
    if not array.nbytes:
        return order, memoryview(b"")
    flat = np.ascontiguousarray(array.T if order == "F" else array).reshape(-1)
    return order, bytes_of(flat.view(np.uint8))


def over(buffer: memoryview, dtype: Any, shape: list[int], order: str = "C", *, readonly: bool) -> Any:
    """An array over the buffer itself, which it must fill.

    Raises:
        TypeError, ValueError: Such an array does not have the buffer's length.
    """
    if order not in ("C", "F") or any(type(length) is not int or length < 0 for length in shape):
        raise ValueError(f"order {order!r}, shape {shape}")
    count = 1
    for length in shape:
        count *= length
    if count * dtype.itemsize != buffer.nbytes:
        raise ValueError(f"shape {shape} of {dtype} in {buffer.nbytes} bytes")
    if not buffer.nbytes:  # NumPy refuses to look at no bytes
        if not is_plain(dtype):
            raise ValueError(f"dtype {dtype}")
        array = np.empty(shape, dtype, order)
        array.flags.writeable = not readonly
        return array
    return np.ndarray(shape, dtype, buffer.toreadonly() if readonly else buffer, order=order)


def is_plain(dtype: Any) -> bool:
    """Whether arrays of the dtype are nothing but memory, and its encoding says all about it."""
    if dtype.hasobject or (dtype.kind in "SU" and not dtype.itemsize):  # of which NumPy makes longer text
        return False
    try:
        return _levels(dtype) <= _MOST_LEVELS and _same(decode_dtype(encode_dtype(dtype)), dtype)
    except (TypeError, ValueError):
        return False


def encode_dtype(dtype: Any) -> Json:
    if dtype.subdtype is not None:
        base, shape = dtype.subdtype
        return {"base": encode_dtype(base), "shape": list(shape)}
    if dtype.fields is None:
        return dtype.str
    fields = []
    for name in dtype.names:
        base, offset, *title = dtype.fields[name]
        fields.append([_text(name), encode_dtype(base), offset, _text(title[0]) if title else None])
    return {"aligned": dtype.isalignedstruct, "fields": fields, "itemsize": dtype.itemsize}


def decode_dtype(encoded: Json) -> Any:
    """
    Raises:
        KeyError, TypeError, ValueError: It is no encoded dtype, or one of objects.
    """
    if isinstance(encoded, str):
        if not _PLAIN.fullmatch(encoded):
            raise ValueError(f"dtype {encoded!r}")
        return np.dtype(encoded)
    if "base" in encoded:
        return np.dtype((decode_dtype(encoded["base"]), tuple(encoded["shape"])))
    names, bases, offsets, titles = [], [], [], []
    for name, base, offset, title in encoded["fields"]:
        names.append(_text(name))
        bases.append(decode_dtype(base))
        offsets.append(offset)
        titles.append(title if title is None else _text(title))
    layout = {"names": names, "formats": bases, "offsets": offsets, "itemsize": encoded["itemsize"]}
    if any(title is not None for title in titles):
        layout["titles"] = titles
    return np.dtype(layout, align=bool(encoded["aligned"]))


def _text(value: Any) -> str:
    """A name that JSON can hold."""
    if type(value) is not str:
        raise TypeError(f"{value!r} is no str")
    value.encode()  # a lone surrogate is a UnicodeEncodeError, a ValueError
    return value


def _same(one: Any, other: Any) -> bool:
    return bool(one == other) and one.isalignedstruct == other.isalignedstruct and not _has_metadata(other)


def _has_metadata(dtype: Any) -> bool:
    if dtype.metadata:
        return True
    if dtype.subdtype is not None:
        return _has_metadata(dtype.subdtype[0])
    return any(_has_metadata(field[0]) for field in (dtype.fields or {}).values())


def _levels(dtype: Any) -> int:
    if dtype.subdtype is not None:
        return 1 + _levels(dtype.subdtype[0])
    return 1 + max((_levels(field[0]) for field in (dtype.fields or {}).values()), default=0)


SERIALIZER = NumpyArray()
