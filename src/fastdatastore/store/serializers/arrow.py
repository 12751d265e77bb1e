"""pyarrow's Table and RecordBatch, without a copy both ways: their chunks, types and metadata come back as they were.

Header: {"columns": [[nodes of its chunks], …], "nodes": see arrow_tree, "rows": n, "type": "Table" | "RecordBatch"}.
Buffers: the types, those of the arrays, and last the schema, in Arrow's IPC encapsulation.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from fastdatastore.store.serializers.arrow_tree import Reader, Writer, takes
from fastdatastore.store.serializers.base import BufferSpec, Description, Header, Serialized, require

pa = require("pyarrow")


class Arrow:
    id = "arrow"
    version = 1
    uses_pickle = False

    def accepts(self, obj: Any) -> bool:
        return type(obj) in (pa.Table, pa.RecordBatch) and takes(obj.schema)

    def dump(self, obj: Any) -> Serialized:
        """Nothing is copied but what arrow_exact says."""
        writer = Writer()
        if isinstance(obj, pa.RecordBatch):
            columns = [[writer.add(column)] for column in obj.columns]
        else:
            columns = [[writer.add(chunk) for chunk in column.chunks] for column in obj.columns]
        header = {"columns": columns, "nodes": writer.nodes, "rows": obj.num_rows, "type": type(obj).__name__}
        schema = BufferSpec(memoryview(obj.schema.serialize()).cast("B"))
        return Serialized(self.id, self.version, header, [*writer.buffers(), schema])

    def load(self, version: int, header: Header, buffers: list[memoryview], *, readonly: bool) -> Any:
        """Arrow's data never changes, so that `readonly` makes no difference."""
        schema = pa.ipc.read_schema(pa.py_buffer(buffers[-1]))
        reader = Reader(header["nodes"], buffers[:-1])
        columns = [[reader.array(number) for number in column] for column in header["columns"]]
        if len(columns) != len(schema) or header["type"] not in ("Table", "RecordBatch"):
            raise ValueError(f"{len(columns)} columns, schema of {len(schema)}, type {header['type']!r}")
        kind = pa.Table if header["type"] == "Table" else pa.RecordBatch
        if not columns:
            loaded = _without_columns(kind, header["rows"], schema.metadata)
        elif kind is pa.RecordBatch:
            loaded = kind.from_arrays([column for (column,) in columns], schema=schema)
        else:
            chunked = [pa.chunked_array(chunks, field.type) for chunks, field in zip(columns, schema, strict=True)]
            loaded = kind.from_arrays(chunked, schema=schema)
        if loaded.num_rows != header["rows"]:
            raise ValueError(f"{loaded.num_rows} rows instead of {header['rows']}")
        return loaded

    def describe(self, header: Header, lengths: Sequence[int], buffers: Sequence[memoryview | None]) -> Description:
        schema = None
        if buffers[-1] is not None:
            fields = pa.ipc.read_schema(pa.py_buffer(buffers[-1]))
            schema = tuple((field.name, str(field.type)) for field in fields)
        return Description(f"pyarrow.{header['type']}", (header["rows"], len(header["columns"])), schema=schema)

    def naming(self, header: Header, count: int) -> Collection[int]:
        return (count - 1,)


def _without_columns(kind: Any, rows: int, metadata: Any) -> Any:
    """A table or batch of so many rows: what is left of one with a column that takes no memory."""
    schema = pa.schema([pa.field("", pa.null())], metadata=metadata)
    return kind.from_arrays([pa.Array.from_buffers(pa.null(), rows, [None])], schema=schema).select([])


SERIALIZER = Arrow()
