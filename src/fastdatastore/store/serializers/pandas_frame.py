"""pandas' DataFrame and Series, column by column: NumPy's memory as it is, Arrow's and text as Arrow's buffers.

Header: {"arrays": [items of the buffers that are NumPy's], "columns": index, "data": [column, …], "index": index,
"nodes": see arrow_tree, "type": "DataFrame" | "Series"}; a Series has "name" in place of "columns". The buffers are
NumPy's, then those of arrow_tree.

A column is one of
    {"array": buffer, "dtype": see numpy_array}
    {"array": …, "dtype": …, "mask": buffer, "masked": "Int64" | "Float32" | "boolean" …}
    {"categories": index, "codes": column, "ordered": bool}
    {"chunks": [nodes], "dtype": "arrow" | "string"}     "string" with "nan": whether that is what is missing
    {"chunks": [node], "dtype": "object"}                str and None only
and an index is
    {"name": label, "range": [start, stop, step]}
    {"codes": [column, …], "levels": [index, …], "names": [label, …]}
    {"column": column, "freq": string or null, "name": label}

Whatever would not come back exactly so goes by pickle: other extension types, objects that are not str or None, labels
that are not str, int, bool or None, `attrs`, subclasses.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any

from fastdatastore.config import MIB
from fastdatastore.store.serializers import numpy_array
from fastdatastore.store.serializers.arrow_exact import storage_of
from fastdatastore.store.serializers.arrow_tree import Reader, Writer, buffers_of, children_of, takes
from fastdatastore.store.serializers.base import BufferSpec, Description, Header, Json, Serialized, require

pd = require("pandas")
pa = require("pyarrow")
np = require("numpy")

_MASKED = {"b": "BooleanArray", "i": "IntegerArray", "u": "IntegerArray", "f": "FloatingArray"}
# What pd.array([None], dtype) has where a value is missing.
_FILLERS = {"b": False, "i": 1, "u": 1, "f": np.nan}
# A frame of so many columns, and not more bytes, is copied so that those of one dtype lie together again: by themselves
# they are slow to work with, and pandas warns at each insertion when there are over 100. The copy takes up to 0.6 ms;
# all else, of 1000 columns and 8 MB, 15 ms.
_WIDE_FROM = 100
_COPY_UP_TO = 16 * MIB
# A column of Arrow's in several chunks, up to so many bytes, is copied into one.
_JOIN_UP_TO = 16 * MIB
_INDEXES = (pd.Index, pd.DatetimeIndex, pd.TimedeltaIndex, pd.CategoricalIndex)


class PandasFrame:
    id = "pandas"
    version = 1
    uses_pickle = False

    def accepts(self, obj: Any) -> bool:
        if type(obj) not in (pd.DataFrame, pd.Series):
            return False
        if obj.attrs or not obj.flags.allows_duplicate_labels or not _takes_index(obj.index):
            return False
        if isinstance(obj, pd.Series):
            return _is_label(obj.name) and _takes(obj)
        return _takes_index(obj.columns) and all(_takes(obj.iloc[:, at]) for at in range(obj.shape[1]))

    def dump(self, obj: Any) -> Serialized:
        """Only columns that do not lie in one piece in memory, and objects, are copied."""
        writer = _FrameWriter()
        header: Header = {"index": writer.index(obj.index), "type": type(obj).__name__}
        if isinstance(obj, pd.Series):
            header |= {"data": [writer.column(obj)], "name": obj.name}
        else:
            columns = [writer.column(obj.iloc[:, at]) for at in range(obj.shape[1])]
            header |= {"data": columns, "columns": writer.index(obj.columns)}
        header |= {"arrays": len(writer.arrays), "nodes": writer.arrow.nodes}
        return Serialized(self.id, self.version, header, [*writer.arrays, *writer.arrow.buffers()])

    def load(self, version: int, header: Header, buffers: list[memoryview], *, readonly: bool) -> Any:
        """Columns of NumPy's types over the buffers themselves, but for a wide frame that is small."""
        reader = _FrameReader(header, buffers, readonly)
        index = reader.index(header["index"])
        data = [_series(reader.column(column), index) for column in header["data"]]
        if header["type"] == "Series":
            (series,) = data
            return series.rename(header["name"])
        if header["type"] != "DataFrame":
            raise ValueError(f"type {header['type']!r}")
        size = sum(buffer.nbytes for buffer in buffers)
        is_copied = len(data) >= _WIDE_FROM and size <= _COPY_UP_TO and not readonly
        frame = pd.DataFrame(dict(enumerate(data)), index=index, copy=is_copied)
        frame.columns = reader.index(header["columns"])
        return frame

    def describe(self, header: Header, lengths: Sequence[int], buffers: Sequence[memoryview | None]) -> Description:
        kind, data = f"pandas.{header['type']}", header["data"]
        rows = _rows(header["index"], header["nodes"], lengths)
        if header["type"] == "Series":
            return Description(kind, (rows,), _dtype(data[0], None))
        try:
            reader = _FrameReader(header, [buffer or memoryview(b"") for buffer in buffers], readonly=True)
            names = map(str, reader.index(header["columns"]))
            schema = tuple(zip(names, (_dtype(column, reader) for column in data), strict=True))
        except (LookupError, TypeError, ValueError):  # the names are in a buffer that was not read
            schema = None
        return Description(kind, (rows, len(data)), schema=schema)

    def naming(self, header: Header, count: int) -> Collection[int]:
        types: int = header["arrays"]
        return {types, *_index_buffers(header["columns"], header)} if header["type"] == "DataFrame" else ()


def _index_buffers(index: Json, header: Header) -> Iterator[int]:
    """The numbers of the buffers that an index is made of."""
    for level in index.get("levels", ()):
        yield from _index_buffers(level, header)
    for column in [index["column"]] if "column" in index else index.get("codes", ()):
        yield from _column_buffers(column, header)


def _column_buffers(column: Json, header: Header) -> Iterator[int]:
    if "codes" in column:
        yield from _index_buffers(column["categories"], header)
        yield from _column_buffers(column["codes"], header)
    elif "chunks" in column:
        yield from (header["arrays"] + number for number in buffers_of(header["nodes"], column["chunks"]))
    else:
        yield from (column[name] for name in ("array", "mask") if name in column)


def _series(values: Any, index: Any) -> Any:
    if len(values) != len(index):
        raise ValueError(f"{len(values)} values for {len(index)} rows")
    return pd.Series(values, index=index, dtype=values.dtype, copy=False)


def _is_label(value: Any) -> bool:
    if type(value) is int:
        return abs(value) < 1 << 53
    if type(value) is str:
        return value.isascii() or value.encode(errors="replace").decode() == value
    return value is None or type(value) is bool


def _takes_index(index: Any) -> bool:
    if type(index) is pd.MultiIndex:
        return all(map(_is_label, index.names)) and all(map(_takes_index, index.levels))
    if type(index) is pd.RangeIndex:
        return _is_label(index.name) and all(map(_is_label, (index.start, index.stop, index.step)))
    if type(index) not in _INDEXES or not _is_label(index.name):
        return False
    frequency = getattr(index, "freq", None)
    if frequency is not None and pd.tseries.frequencies.to_offset(frequency.freqstr) != frequency:
        return False
    return _takes(index)


def _takes(values: Any) -> bool:
    """Whether a Series or an index comes back exactly."""
    dtype = values.dtype
    if _is_object(dtype):
        return _is_text(values.to_numpy())
    if isinstance(dtype, np.dtype):
        return numpy_array.is_plain(dtype)
    if isinstance(dtype, pd.CategoricalDtype):
        return _takes_index(dtype.categories)
    if isinstance(dtype, pd.StringDtype):
        return bool(dtype.storage == "pyarrow")
    if isinstance(dtype, pd.ArrowDtype):
        return takes(pa.schema([pa.field("", dtype.pyarrow_dtype)]))
    return _is_masked(values.array)


def _is_object(dtype: Any) -> bool:
    return isinstance(dtype, np.dtype) and bool(dtype.hasobject)


def _is_masked(array: Any) -> bool:
    return type(array) in (pd.arrays.BooleanArray, pd.arrays.IntegerArray, pd.arrays.FloatingArray)


def _is_text(values: Any) -> bool:
    if not set(map(type, values)) <= {str, type(None)}:
        return False
    try:
        pa.array(values, pa.large_string())
    except (ValueError, UnicodeError):  # lone surrogates
        return False
    return True


def _rows(index: Json, nodes: Json, lengths: Sequence[int]) -> int:
    """How many an index has, or a column."""
    if "range" in index:
        return len(range(*index["range"]))
    if "column" in index:
        return _rows(index["column"], nodes, lengths)
    if "chunks" in index:
        return sum(nodes[chunk][1] for chunk in index["chunks"])
    if "codes" in index:
        codes = index["codes"]
        return _rows(codes[0] if isinstance(codes, list) else codes, nodes, lengths)
    return int(lengths[index["array"]] // numpy_array.decode_dtype(index["dtype"]).itemsize)


def _dtype(column: Json, reader: _FrameReader | None) -> str:
    """As pandas names it; of Arrow's only as far as it is known without a reader."""
    if "codes" in column:
        return "category"
    if "chunks" in column:
        if column["dtype"] != "arrow" or reader is None:
            return str(column["dtype"])
        return f"{reader.arrow_type(column['kind'])}[pyarrow]"
    return str(column.get("masked") or numpy_array.decode_dtype(column["dtype"]))


class _FrameWriter:
    def __init__(self) -> None:
        self.arrays: list[BufferSpec] = []
        self.arrow = Writer()

    def index(self, index: Any) -> Json:
        if isinstance(index, pd.RangeIndex):
            return {"range": [index.start, index.stop, index.step], "name": index.name}
        if isinstance(index, pd.MultiIndex):
            index = index.remove_unused_levels()  # labels of rows that have been cut off
            return {
                "levels": [self.index(level) for level in index.levels],
                "codes": [self._array(np.asarray(codes)) for codes in index.codes],
                "names": list(index.names),
            }
        frequency = getattr(index, "freq", None)
        named = {"freq": None if frequency is None else frequency.freqstr, "name": index.name}
        return {"column": self.column(index), **named}

    def column(self, values: Any) -> Json:
        dtype = values.dtype
        if _is_object(dtype):
            return {"chunks": [self.arrow.add(pa.array(values.to_numpy(), pa.large_string()))], "dtype": "object"}
        if isinstance(dtype, np.dtype):
            return self._array(values.to_numpy())
        array = values.array
        if isinstance(dtype, pd.CategoricalDtype):
            categories = self.index(dtype.categories)
            return {"categories": categories, "codes": self._array(array.codes), "ordered": bool(dtype.ordered)}
        if _is_masked(array):
            mask = self._array(array._mask)["array"]
            return {**self._array(_without_hidden(array)), "mask": mask, "masked": dtype.name}
        stored = array.__arrow_array__()
        chunks = _joined(stored).chunks if isinstance(stored, pa.ChunkedArray) else [stored]
        numbers = [self.arrow.add(chunk) for chunk in chunks]
        header: Header = {"chunks": numbers, "kind": self.arrow.type(stored.type)}
        if isinstance(dtype, pd.StringDtype):
            return {**header, "dtype": "string", "nan": dtype.na_value is not pd.NA}
        return {**header, "dtype": "arrow"}

    def _array(self, array: Any) -> Json:
        _, memory = numpy_array.memory_of(array)
        self.arrays.append(BufferSpec(memory, item=max(1, array.dtype.itemsize)))
        return {"array": len(self.arrays) - 1, "dtype": numpy_array.encode_dtype(array.dtype)}


def _without_hidden(array: Any) -> Any:
    """A masked array's values, with pandas' own filler where one is missing; a copy only if there is another."""
    values, mask = array._data, array._mask
    filler = _FILLERS[values.dtype.kind]
    hidden = values[mask]
    if ((hidden == filler) | ((hidden != hidden) & (filler != filler))).all():
        return values
    return np.where(mask, values.dtype.type(filler), values)


def _joined(chunked: Any) -> Any:
    """In one chunk, up to a size: how many there are is no part of a frame."""
    chunks = [chunk for chunk in chunked.chunks if len(chunk)]
    if len(chunks) > 1 and (chunked.nbytes > _JOIN_UP_TO or _has_dictionary(chunked.type)):
        return chunked
    if len(chunks) == 1:
        return pa.chunked_array(chunks)
    joined = chunked.combine_chunks()
    return joined if isinstance(joined, pa.ChunkedArray) else pa.chunked_array([joined])


def _has_dictionary(kind: Any) -> bool:
    """Joining would make other dictionaries."""
    kind = storage_of(kind)
    if pa.types.is_dictionary(kind):
        return True
    return any(map(_has_dictionary, children_of(kind)))


class _FrameReader:
    def __init__(self, header: Header, buffers: list[memoryview], readonly: bool) -> None:
        count = header["arrays"]
        self._arrays = buffers[:count]
        self._arrow = Reader(header["nodes"], buffers[count:])
        self._readonly = readonly

    def arrow_type(self, number: int) -> Any:
        return self._arrow.types[number]

    def index(self, index: Json) -> Any:
        if "range" in index:
            return pd.RangeIndex(*index["range"], name=index["name"])
        if "levels" in index:
            levels = [self.index(level) for level in index["levels"]]
            codes = [self.column(column) for column in index["codes"]]
            return pd.MultiIndex(levels, codes, names=index["names"])
        values = self.column(index["column"])
        made = pd.Index(values, dtype=values.dtype, name=index["name"], copy=False)
        if index["freq"] is not None:
            made.freq = index["freq"]
        return made

    def column(self, column: Json) -> Any:
        if "codes" in column:
            dtype = pd.CategoricalDtype(self.index(column["categories"]), column["ordered"])
            return pd.Categorical.from_codes(self.column(column["codes"]), dtype=dtype)
        if "chunks" in column:
            return self._text_or_arrow(column)
        array = self._array(column["array"], numpy_array.decode_dtype(column["dtype"]))
        if "masked" not in column:
            return array
        mask = self._array(column["mask"], np.dtype(bool))
        made = getattr(pd.arrays, _MASKED[array.dtype.kind])(array, mask)
        if made.dtype.name != column["masked"]:
            raise ValueError(f"{column['masked']!r} of {array.dtype}")
        return made

    def _array(self, number: int, dtype: Any) -> Any:
        buffer = self._arrays[number]
        size = dtype.itemsize
        return numpy_array.over(buffer, dtype, [buffer.nbytes // size if size else 0], readonly=self._readonly)

    def _text_or_arrow(self, column: Json) -> Any:
        chunks = [self._arrow.array(number) for number in column["chunks"]]
        if column["dtype"] == "object":
            (text,) = chunks
            return text.to_numpy(zero_copy_only=False)
        chunked = pa.chunked_array(chunks, self._arrow.types[column["kind"]])
        if column["dtype"] == "string":
            missing = {"na_value": np.nan} if column["nan"] else {}  # pandas 2.2 knows pd.NA only
            return pd.StringDtype("pyarrow", **missing).__from_arrow__(chunked)
        if column["dtype"] != "arrow":
            raise ValueError(f"dtype {column['dtype']!r}")
        return pd.arrays.ArrowExtensionArray(chunked)


SERIALIZER = PandasFrame()
