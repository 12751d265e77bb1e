"""What serializers tell of an object that nobody has loaded."""

from __future__ import annotations

import contextlib
import datetime
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from fastdatastore import errors
from fastdatastore.store.serializers import registry
from fastdatastore.store.serializers.base import Description
from tests.support.serialized import stored


class Model:
    def __init__(self) -> None:
        self.weights = np.zeros(10_000)


MIXED = pd.DataFrame(
    {
        "id": np.arange(3),
        "x": [1.5, 2.5, 3.5],
        "name": pd.Series(["a", "b", None], dtype=object),
        "kind": pd.Categorical(["p", "q", "p"]),
        "count": pd.array([1, None, 3], dtype="Int32"),
        "when": pd.to_datetime(["2024-01-01"] * 3).as_unit("ns"),
        "text": pd.array(["a", "b", "c"], dtype=pd.StringDtype("pyarrow")),
        "date": pd.array([datetime.date(2024, 1, 1)] * 3, dtype=pd.ArrowDtype(pa.date32())),
    }
)
TABLE = pa.table({"a": pa.array([1, 2], pa.int8()), "b": ["x", "y"]})

DESCRIPTIONS = {
    "bytes": (b"abc", Description("bytes")),
    "a bytearray": (bytearray(3), Description("bytearray")),
    "a memoryview": (memoryview(bytes(8)).cast("H"), Description("memoryview", (4,), "H")),
    "an array": (np.zeros((3, 4), "float32"), Description("numpy.ndarray", (3, 4), "float32")),
    "an array of no dimensions": (np.array(7), Description("numpy.ndarray", (), "int64")),
    "a table": (TABLE, Description("pyarrow.Table", (2, 2), None, (("a", "int8"), ("b", "string")))),
    "a batch": (
        TABLE.to_batches()[0],
        Description("pyarrow.RecordBatch", (2, 2), None, (("a", "int8"), ("b", "string"))),
    ),
    "a frame": (
        MIXED,
        Description(
            "pandas.DataFrame",
            (3, 8),
            None,
            (
                ("id", "int64"),
                ("x", "float64"),
                ("name", "object"),
                ("kind", "category"),
                ("count", "Int32"),
                ("when", "datetime64[ns]"),
                ("text", "string"),
                ("date", "date32[day][pyarrow]"),
            ),
        ),
    ),
    "a frame without names": (
        pd.DataFrame(np.zeros((5, 2))),
        Description("pandas.DataFrame", (5, 2), None, (("0", "float64"), ("1", "float64"))),
    ),
    "a frame with levels": (
        pd.DataFrame({("a", 1): [1.0]}, index=pd.MultiIndex.from_tuples([("x", 1)])),
        Description("pandas.DataFrame", (1, 1), None, (("('a', 1)", "float64"),)),
    ),
    "an empty frame": (pd.DataFrame(), Description("pandas.DataFrame", (0, 0), None, ())),
    "a series": (pd.Series([1, 2, 3]), Description("pandas.Series", (3,), "int64")),
    "a dict": ({"a": 1}, Description("dict")),
    "an instance with arrays": (Model(), Description(f"{Model.__module__}.Model")),
}


def described(obj: object, *, with_buffers: bool = True) -> Description:
    dumped = registry.dump(obj)
    header, buffers = stored(dumped)
    lengths = [buffer.nbytes for buffer in buffers]
    known: list[Any] = buffers if with_buffers else [None] * len(buffers)
    return registry.describe(dumped.serializer, dumped.version, header, lengths, known)


@pytest.mark.parametrize("what", DESCRIPTIONS)
def test_an_object_is_described(what: str) -> None:
    obj, description = DESCRIPTIONS[what]
    assert described(obj) == description


@pytest.mark.parametrize("what", DESCRIPTIONS)
def test_without_its_buffers_type_and_shape_are_known(what: str) -> None:
    obj, description = DESCRIPTIONS[what]
    found = described(obj, with_buffers=False)
    assert (found.type, found.shape, found.dtype) == (description.type, description.shape, description.dtype)


@pytest.mark.parametrize("kind", ["a frame", "a table"])
def test_columns_are_known_by_the_small_buffers_alone(kind: str) -> None:
    frame = pd.concat([MIXED] * 2000, ignore_index=True)
    dumped = registry.dump(frame if kind == "a frame" else pa.table({"a": range(9999), "b": ["x"] * 9999}))
    header, buffers = stored(dumped)
    lengths = [buffer.nbytes for buffer in buffers]
    small = [buffer if buffer.nbytes < 4000 else None for buffer in buffers]
    assert None in small
    schema = registry.describe(dumped.serializer, dumped.version, header, lengths, small).schema
    assert schema is not None
    assert [name for name, _ in schema] == ([*MIXED.columns] if kind == "a frame" else ["a", "b"])


def test_what_is_not_known_here_is_said_to_be_so() -> None:
    assert registry.describe("of-somebody", 1, {}, [], []).type == "(by the serializer of-somebody)"


@pytest.mark.parametrize("serializer", ["raw", "numpy", "arrow", "pandas", "pickle", "pickle5"])
@pytest.mark.parametrize("header", [{}, {"type": 7}, {"type": "DataFrame", "data": [], "index": {}, "nodes": {}}])
def test_a_header_that_is_none_is_an_error_or_described(serializer: str, header: dict[str, Any]) -> None:
    with contextlib.suppress(errors.FormatError):
        registry.describe(serializer, 1, header, [], [])


@pytest.mark.parametrize("shape", [["3"], [-1], [[2]], [True], [2.5], None, "34"])
def test_a_shape_that_is_none_is_an_error(shape: Any) -> None:
    with pytest.raises(errors.FormatError, match="does not fit"):
        registry.describe("numpy", 1, {"dtype": "<f8", "order": "C", "shape": shape}, [8], [None])


@pytest.mark.parametrize("kind", ["a frame", "a table", "a batch", "a frame with levels", "a frame without names"])
def test_columns_are_known_by_the_buffers_that_are_named(kind: str) -> None:
    obj, description = DESCRIPTIONS[kind]
    dumped = registry.dump(obj)
    header, buffers = stored(dumped)
    lengths = [buffer.nbytes for buffer in buffers]
    named = registry.naming(dumped.serializer, dumped.version, header, lengths)
    assert len(named) < len(buffers)
    some = [buffer if at in named else None for at, buffer in enumerate(buffers)]
    assert registry.describe(dumped.serializer, dumped.version, header, lengths, some) == description


@pytest.mark.parametrize(
    "columns", [{"column": {"array": 99}}, {"column": {"chunks": [-1]}}, {"column": {"array": "0"}}]
)
def test_names_in_buffers_that_are_not_there_are_an_error(columns: dict[str, Any]) -> None:
    header, buffers = stored(registry.dump(MIXED))
    with pytest.raises(errors.FormatError, match="does not fit"):
        registry.naming("pandas", 1, {**header, "columns": columns}, [buffer.nbytes for buffer in buffers])


def test_of_a_serializer_that_names_none_the_small_buffers_are_read() -> None:
    assert registry.naming("numpy", 1, {}, [3, 1 << 20, 5]) == [0, 2]
