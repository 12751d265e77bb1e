"""bytes, bytearray and memoryview: their bytes, as they are.

Header: {"type": "bytes" | "bytearray" | "memoryview"}, and of a memoryview "format" (one character of the struct
module, native) and "shape". One buffer.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

from fastdatastore.errors import SerializationError
from fastdatastore.store.serializers.base import BufferSpec, Description, Header, Serialized, bytes_of

# What memoryview.cast() knows, but for "P" and "n", whose sizes are a machine's own; and "e", which NumPy knows.
_FORMATS = frozenset("cbB?hHiIlLqQefd")


class Raw:
    id = "raw"
    version = 1
    uses_pickle = False

    def accepts(self, obj: object) -> bool:
        return type(obj) in (bytes, bytearray, memoryview)

    def dump(self, obj: bytes | bytearray | memoryview) -> Serialized:
        """Only what does not lie in one piece in memory, or not in the order of C, is copied."""
        header: Header = {"type": type(obj).__name__}
        item = 1
        if isinstance(obj, memoryview):
            form, shape = obj.format.removeprefix("@"), list(obj.shape or ())
            if form not in _FORMATS or (_needs_numpy(form, shape) and (form == "c" or find_spec("numpy") is None)):
                raise SerializationError(
                    f"a memoryview of format {obj.format!r} and shape {shape} cannot be stored; store its tobytes()"
                )
            header |= {"format": form, "shape": shape}
            item = obj.itemsize
            if not obj.c_contiguous:
                obj = obj.tobytes()
        return Serialized(self.id, self.version, header, [BufferSpec(bytes_of(obj), item=item)])

    def load(self, version: int, header: Header, buffers: list[memoryview], *, readonly: bool) -> object:
        """A memoryview comes back over the buffer itself; the others own their bytes, so those are copied."""
        (buffer,) = buffers
        kind = header["type"]
        if kind == "bytes":
            return bytes(buffer)
        if kind == "bytearray":
            return bytearray(buffer)
        if kind != "memoryview":
            raise ValueError(f"type {kind!r}")
        view = buffer.toreadonly() if readonly else buffer
        return _cast(view, header["format"], header["shape"])

    def describe(self, header: Header, lengths: Sequence[int], buffers: Sequence[memoryview | None]) -> Description:
        if header["type"] != "memoryview":
            return Description(str(header["type"]))
        return Description("memoryview", tuple(header["shape"]), header["format"])


def _needs_numpy(form: str, shape: list[int]) -> bool:
    """Whether memoryview.cast() cannot make such a view: one of half precision, or with no items in many dimensions."""
    return form == "e" or (len(shape) > 1 and 0 in shape)


def _cast(view: Any, form: str, shape: list[int]) -> Any:
    if form not in _FORMATS or any(length < 0 for length in shape):
        raise ValueError(f"format {form!r}, shape {shape}")
    if _needs_numpy(form, shape):
        from fastdatastore.store.serializers import numpy_array

        return memoryview(numpy_array.over(view, numpy_array.np.dtype(form), shape, readonly=view.readonly))
    if 0 in shape:  # which cast() refuses
        if view.nbytes:
            raise ValueError(f"shape {shape} of {view.nbytes} bytes")
        return view.cast(form)
    if view.nbytes % struct.calcsize(form):
        raise ValueError(f"{view.nbytes} bytes of format {form!r}")
    return view.cast(form, shape=shape)


SERIALIZER = Raw()
