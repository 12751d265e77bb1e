"""Objects that carry large buffers, such as dicts of arrays: protocol 5, the buffers themselves out of band.

Header: {"pieces": how many of the first buffers are the pickle, "type": qualified name}. All other buffers are the
out-of-band ones, in their order.

An object is looked for in containers and in attributes; one that carries a large buffer says so by an attribute
`nbytes`, as arrays and tensors do, and gives it to pickle by __reduce_ex__(5).
"""

from __future__ import annotations

import pickle
from collections import deque
from collections.abc import Sequence
from typing import Any

from fastdatastore.store.serializers import pickling
from fastdatastore.store.serializers.base import BufferSpec, Collected, Description, Header, Serialized, Sink

# Bytes; smaller buffers stay in the pickle.
_LARGE = 64 * 1024
# A bound on the search; so many visits take about 5 ms.
_MOST_VISITS = 10_000
_LEAVES = (str, bytes, bytearray, memoryview, int, float, complex, bool, type(None), type)


class PickleBuffers:
    id = "pickle5"
    version = 1
    uses_pickle = True

    def accepts(self, obj: object) -> bool:
        return _carries_buffers(obj)

    def dump(self, obj: Any) -> Serialized:
        """Memory that does not lie in one piece goes into the pickle."""
        collected = Collected()
        header = self.stream(obj, collected)
        return Serialized(self.id, self.version, header, collected.buffers)

    def stream(self, obj: Any, sink: Sink) -> Header:
        def out_of_band(buffer: pickle.PickleBuffer) -> bool:
            view = memoryview(buffer)
            if view.nbytes < _LARGE or not view.contiguous:
                return True
            sink.buffer(BufferSpec(buffer.raw(), item=max(1, view.itemsize)))
            return False

        pieces = pickling.dump(obj, 5, sink, out_of_band)
        return {"pieces": pieces, **pickling.header_of(obj)}

    def load(self, version: int, header: Header, buffers: list[memoryview], *, readonly: bool) -> Any:
        """Over the buffers themselves. Those that lie in the pickle are writable at any rate."""
        pieces = header["pieces"]
        large = buffers[pieces:]
        return pickling.load(buffers[:pieces], [view.toreadonly() for view in large] if readonly else large)

    def describe(self, header: Header, lengths: Sequence[int], buffers: Sequence[memoryview | None]) -> Description:
        return Description(str(header["type"]))


def _carries_buffers(obj: object) -> bool:
    """Whether a large buffer is found among the first objects that this one holds, breadth first."""
    waiting: deque[Any] = deque([obj])
    seen = {id(obj)}
    while waiting:
        part = waiting.popleft()
        if isinstance(part, dict):
            inner: Any = part.values()
        elif isinstance(part, (list, tuple)):
            inner = part
        elif _size(part) >= _LARGE:
            return True
        else:
            inner = ()
        attributes = getattr(part, "__dict__", None)
        for held in (*inner, *attributes.values()) if type(attributes) is dict else inner:
            if len(seen) >= _MOST_VISITS:
                break
            if not isinstance(held, _LEAVES) and id(held) not in seen:
                seen.add(id(held))
                waiting.append(held)
    return False


def _size(obj: Any) -> int:
    """Bytes that an object says it has; a frame of pandas says how many items."""
    try:
        size = obj.nbytes if hasattr(obj, "nbytes") else 8 * obj.size
    except Exception:
        return 0
    return size if isinstance(size, int) else 0


SERIALIZER = PickleBuffers()
