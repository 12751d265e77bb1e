"""Arrow arrays without what they do not refer to: what a slice has cut off, bits beyond the end, bytes under nulls.

Buffers are cut, not copied, where what is wanted lies at their beginning. Arrays that begin later are copied, and so
are those with bytes under nulls, views and dense unions. As it was stays a dictionary, whose words are its own, and
what lies under a null struct or list of fixed size, or beside the chosen child of a sparse union.
"""

from __future__ import annotations

from typing import Any

from fastdatastore.store.serializers.base import require

pa = require("pyarrow")
pc = require("pyarrow.compute")

Data = tuple[Any, ...]
"""Of an array: type, length, nulls, offset, [buffers], [children's data], the dictionary's data or None."""

# So many values are looked at a time.
_WINDOW = 1 << 16


def data_of(array: Any) -> Data:
    data: Data = array.__reduce__()[1][0]
    return data


def exact(data: Data) -> Data:
    """The same values at offset 0; the dictionary is left as it is."""
    kind = data[0]
    storage = storage_of(kind)
    data = (storage, *data[1:])
    if data[3] or _is_loose(data):
        data = _copied(data)
    _, length, _, _, buffers, children, dictionary = data
    buffers = _cut_buffers(storage, length, buffers)
    children = [exact(_cut(child, count)) for child, count in zip(children, _counts(data), strict=True)]
    nulls = -1 if buffers and buffers[0] is not None else 0
    return kind, length, nulls, 0, buffers, children, dictionary


def storage_of(kind: Any) -> Any:
    return kind.storage_type if isinstance(kind, pa.BaseExtensionType) else kind


def _is_view(kind: Any) -> bool:
    return bool(pa.types.is_string_view(kind) or pa.types.is_binary_view(kind))


def _is_list_view(kind: Any) -> bool:
    return bool(pa.types.is_list_view(kind) or pa.types.is_large_list_view(kind))


def _offset_size(kind: Any) -> int:
    """Bytes of an offset; 0 where the second buffer has none."""
    types = pa.types
    if types.is_large_string(kind) or types.is_large_binary(kind) or types.is_large_list(kind):
        return 8
    return 4 if types.is_string(kind) or types.is_binary(kind) or types.is_list(kind) or types.is_map(kind) else 0


def _offset(buffer: Any, size: int, at: int) -> int:
    if buffer is None or not buffer.size:  # of no values
        return 0
    return int(memoryview(buffer).cast("B").cast("q" if size == 8 else "i")[at])


def _is_loose(data: Data) -> bool:
    """Whether cutting its buffers is not enough."""
    kind, length, _, _, buffers, children, _ = data
    if _is_view(kind) or _is_list_view(kind) or _is_dense(kind):
        return True
    if pa.types.is_run_end_encoded(kind):
        ends = pa.lib._restore_array(children[0])
        return not length or ends[-1].as_py() != length
    if not (size := _offset_size(kind)):
        return False
    return _offset(buffers[1], size, 0) != 0 or _has_hidden_values(data)


def _is_dense(kind: Any) -> bool:
    return bool(pa.types.is_union(kind) and kind.mode == "dense")


def _has_hidden_values(data: Data) -> bool:
    """Whether a text or list that is null has a length."""
    kind, length, _, _, buffers, _, _ = data
    if not _nulls(buffers[0], length):
        return False
    # The same offsets as those of a list of nothings, so that one function counts them all.
    size = _offset_size(kind)
    end = _offset(buffers[1], size, length)
    like = pa.large_list(pa.null()) if size == 8 else pa.list_(pa.null())
    nothing = pa.Array.from_buffers(pa.null(), end, [None])
    lengths = pc.list_value_length(pa.Array.from_buffers(like, length, buffers[:2], children=[nothing]))
    return bool(pc.sum(lengths, min_count=0).as_py() != end)


def _copied(data: Data) -> Data:
    kind, _, _, offset, *_ = data
    array = pa.lib._restore_array(data)
    if _is_view(kind):
        return data_of(_copied_view(array))
    if _is_dense(kind):
        return _taken(array)
    if offset or not _offset_size(kind) or not _has_hidden_values(data):
        array = pa.concat_arrays([array])
        data = data_of(array)
    return _taken(array) if _offset_size(kind) and _has_hidden_values(data) else data


def _taken(array: Any) -> Data:
    """All of its values, one by one: without what lies between them."""
    try:
        return data_of(array.take(pa.array(range(len(array)), pa.int64())))
    except pa.ArrowNotImplementedError:  # of text views and run ends in others
        return data_of(pa.concat_arrays([array]))


def _copied_view(array: Any) -> Any:
    plain = pa.large_string() if pa.types.is_string_view(array.type) else pa.large_binary()
    try:
        return array.cast(plain).cast(array.type)
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid):  # older ones cannot cast; nor any, over 2 GiB
        return pa.array(array.to_pylist(), array.type)


def _cut(data: Data, length: int) -> Data:
    """The first values."""
    kind, _, _, offset, buffers, children, dictionary = data
    return kind, length, -1, offset, buffers, children, dictionary


def _counts(data: Data) -> list[int]:
    """How many values of each child it refers to."""
    kind, length, _, _, buffers, children, _ = data
    if pa.types.is_struct(kind) or (pa.types.is_union(kind) and not _is_dense(kind)):
        return [length] * len(children)
    if pa.types.is_fixed_size_list(kind):
        return [length * kind.list_size]
    if size := _offset_size(kind):
        return [_offset(buffers[1], size, length)] * len(children)
    return [child[1] for child in children]


def _cut_buffers(kind: Any, length: int, buffers: list[Any]) -> list[Any]:
    first, *rest = buffers
    first = _bits(first, length) if _nulls(first, length) else None
    if not rest:
        return [first]
    if pa.types.is_boolean(kind):
        return [first, _bits(rest[0] if first is None else _and(rest[0], first, length), length)]
    if size := _offset_size(kind):
        starts, *values = rest
        end = _offset(starts, size, length)
        return [first, _head(starts, (length + 1) * size), *(_head(each, end) for each in values)]
    if pa.types.is_union(kind):
        return [first, *(_head(each, length * size) for each, size in zip(rest, (1, 4), strict=False))]
    if _is_list_view(kind):
        width = 8 if pa.types.is_large_list_view(kind) else 4
        return [first, *(_head(each, length * width) for each in rest)]
    width = 16 if _is_view(kind) else kind.bit_width // 8
    items = _head(rest[0], length * width)
    if first is not None and width and not _is_view(kind):
        items = _head(_without_hidden(items, first, length, width), length * width)
    return [first, items, *rest[1:]]


def _nulls(bitmap: Any, length: int) -> int:
    return 0 if bitmap is None else int(pa.Array.from_buffers(pa.bool_(), length, [bitmap, bitmap]).null_count)


def _head(buffer: Any, size: int) -> Any:
    return buffer if buffer is None or buffer.size <= size else buffer.slice(0, size)


def _bits(buffer: Any, length: int) -> Any:
    """So many bits, and zeros up to the end of the last byte."""
    cut = _head(buffer, (length + 7) // 8)
    used = length % 8
    if cut is None or not used or not memoryview(cut).cast("B")[-1] >> used:
        return cut
    content = bytearray(memoryview(cut))
    content[-1] &= (1 << used) - 1
    return pa.py_buffer(bytes(content))


def _and(bits: Any, valid: Any, length: int) -> Any:
    one, other = (pa.Array.from_buffers(pa.bool_(), length, [None, buffer]) for buffer in (bits, valid))
    return pc.and_(one, other).buffers()[1]


def _without_hidden(items: Any, valid: Any, length: int, width: int) -> Any:
    """Zeros where a value is null; a copy only where there are none yet."""
    raw = pa.Array.from_buffers(pa.binary(width), length, [None, items])
    is_null = pc.invert(pa.Array.from_buffers(pa.bool_(), length, [None, valid]))
    for start in range(0, length, _WINDOW):
        hidden = raw.slice(start, _WINDOW).filter(is_null.slice(start, _WINDOW))
        if len(hidden) and memoryview(hidden.buffers()[1])[: len(hidden) * width] != bytes(len(hidden) * width):
            return pc.if_else(is_null, pa.scalar(bytes(width), raw.type), raw).buffers()[1]
    return items
