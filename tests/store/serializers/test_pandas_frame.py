from __future__ import annotations

import decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastdatastore.errors import FormatError
from fastdatastore.store.serializers import pandas_frame, registry
from tests.support.serialized import fingerprint, load, round_trip, stored

N = 12
COLUMNS: dict[str, Any] = {
    "bool": pd.Series(np.arange(N) % 2 == 0),
    "int": pd.Series(np.arange(N)),
    "uint8": pd.Series(np.arange(N, dtype="u1")),
    "nan": pd.Series([np.nan, -0.0, np.inf] * 4),
    "complex": pd.Series(np.arange(N) * 1j),
    "time": pd.Series(pd.date_range("2026-01-01", periods=N, unit="ns")),
    "seconds": pd.Series(np.arange(N).astype("M8[s]")),
    "delta": pd.Series(pd.to_timedelta([1, None, 3] * 4, unit="s")),
    "str": pd.Series(["a", None, "ü"] * 4, dtype="str"),
    "string": pd.Series(["a", None, "ü"] * 4, dtype="string"),
    "object": pd.Series(["a", None, "ü"] * 4, dtype=object),
    "category": pd.Series(["x", "y", None] * 4, dtype="category"),
    "ordered": pd.Series(pd.Categorical([3, 1, 2] * 4, [3, 2, 1], ordered=True)),
    "Int64": pd.Series([1, None, 3] * 4, dtype="Int64"),
    "UInt8": pd.Series([1, None, 3] * 4, dtype="UInt8"),
    "Float32": pd.Series([1.5, None, 3] * 4, dtype="Float32"),
    "boolean": pd.Series([True, None, False] * 4, dtype="boolean"),
    "arrow int": pd.Series([1, None, 3] * 4, dtype="int64[pyarrow]"),
    "arrow text": pd.Series(["a", None, "b"] * 4, dtype="string[pyarrow]"),
}
INDEXES: dict[str, Any] = {
    "range": pd.RangeIndex(3, 3 + 2 * N, 2, name="r"),
    "int": pd.Index(np.arange(N)[::-1]),
    "text": pd.Index([f"k{at}" for at in range(N)], name="key"),
    "object": pd.Index([f"k{at}" for at in range(N)], dtype=object),
    "daily": pd.date_range("2026-01-01", periods=N, freq="D", name="day"),
    "irregular": pd.DatetimeIndex(["2026-01-01", "2026-01-05", "2026-01-02"] * 4),
    "category": pd.CategoricalIndex(["x", "y", "x"] * 4),
    "multi": pd.MultiIndex.from_product([["a", "b"], [1, 2, 3], [True, False]], names=["one", None, "three"]),
}


def check_same(loaded: Any, obj: Any) -> None:
    assert type(loaded) is type(obj)
    if isinstance(obj, pd.DataFrame):
        pd.testing.assert_frame_equal(loaded, obj, check_exact=True, check_freq=True, check_column_type="exact")
    else:
        pd.testing.assert_series_equal(loaded, obj, check_exact=True, check_freq=True)
    assert type(loaded.index) is type(obj.index)
    assert loaded.index.dtype == obj.index.dtype


def missing(values: Any) -> list[type]:
    return [type(one) for one in values]


@pytest.mark.parametrize("count", [0, 1, N])
@pytest.mark.parametrize("name", COLUMNS)
def test_every_kind_of_column_comes_back(name: str, count: int) -> None:
    series = COLUMNS[name].iloc[:count].rename(name)
    for obj in (series, series.to_frame()):
        assert registry.dump(obj).serializer == "pandas"
        check_same(round_trip(obj, allow_pickle=False), obj)
    assert missing(round_trip(series)) == missing(series)


@pytest.mark.parametrize("name", INDEXES)
def test_every_kind_of_index_comes_back(name: str) -> None:
    frame = pd.DataFrame({"a": np.arange(N), "b": COLUMNS["str"].to_numpy()}, index=INDEXES[name])
    for obj in (frame, frame.iloc[:0], frame["a"], frame.iloc[::3], frame[["a"]].T):
        assert registry.dump(obj).serializer == "pandas"
        check_same(round_trip(obj, allow_pickle=False), obj)


@given(data=st.data())
@settings(max_examples=100, deadline=None)
def test_any_frame_comes_back(data: st.DataObject) -> None:
    names = data.draw(st.lists(st.sampled_from(sorted(COLUMNS)), max_size=6))
    frame = pd.concat([COLUMNS[name] for name in names], axis=1) if names else pd.DataFrame(index=range(N))
    frame.columns = pd.Index(data.draw(st.permutations([*names, "more"]))[: len(names)])
    frame.index = INDEXES[data.draw(st.sampled_from(sorted(INDEXES)))]
    start, stop = data.draw(st.tuples(st.integers(0, N), st.integers(0, N)))
    check_same(round_trip(frame.iloc[start:stop]), frame.iloc[start:stop])
    assert fingerprint(round_trip(frame)) == fingerprint(frame)


def test_columns_that_lie_in_one_piece_are_not_copied() -> None:
    frame = pd.DataFrame({"a": np.arange(1000.0), "b": np.arange(1000)})
    dumped = registry.dump(frame)
    for at, name in enumerate(["a", "b"]):
        assert np.shares_memory(np.asarray(dumped.buffers[at].view), frame[name].to_numpy())
        assert dumped.buffers[at].item == 8
    header, buffers = stored(dumped)
    loaded = registry.load("pandas", 1, header, buffers)
    assert np.shares_memory(loaded["a"].to_numpy(), np.asarray(buffers[0]))


@pytest.mark.filterwarnings("error")
def test_a_wide_frame_that_is_small_comes_back_in_one_piece() -> None:
    frame = pd.DataFrame(np.arange(450.0).reshape(3, 150))
    loaded = round_trip(frame)
    check_same(loaded, frame)
    loaded["new"] = 1
    mixed = pd.concat([frame, pd.DataFrame({name: COLUMNS[name][:3] for name in COLUMNS})], axis=1)
    mixed.columns = [str(label) for label in mixed.columns]
    check_same(round_trip(mixed), mixed)
    assert fingerprint(round_trip(mixed)) == fingerprint(mixed)
    assert not round_trip(frame, readonly=True)[0].to_numpy().flags.writeable


def test_a_wide_frame_that_is_large_is_not_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pandas_frame, "_COPY_UP_TO", 1000)
    header, buffers = stored(registry.dump(pd.DataFrame(np.zeros((3, 150)))))
    loaded = registry.load("pandas", 1, header, buffers)
    assert np.shares_memory(loaded[149].to_numpy(), np.asarray(buffers[149]))


def test_how_columns_lie_together_makes_no_difference() -> None:
    values = np.arange(30.0).reshape(10, 3)
    one = pd.DataFrame(values)
    other = pd.DataFrame({at: values[:, at].copy() for at in range(3)})
    other.columns = one.columns
    assert fingerprint(one) == fingerprint(other) == fingerprint(one.copy())


@pytest.mark.parametrize("dtype", ["str", "string", "string[pyarrow]", object])
def test_nothing_of_rows_that_were_cut_off_is_written(dtype: Any) -> None:
    values = pd.Series(["x", "SECRET"], dtype=dtype)
    levels = pd.MultiIndex.from_arrays([values, [1, 2]])
    for frame in (values.to_frame("c"), pd.DataFrame({"c": [1, 2]}, index=pd.Index(values)),
                  pd.DataFrame({"c": [1, 2]}, index=levels)):  # fmt: skip
        dumped = registry.dump(frame.head(1))
        assert dumped.serializer == "pandas"
        assert b"SECRET" not in b"".join(spec.view for spec in dumped.buffers)
        check_same(load(dumped), frame.head(1))


@pytest.mark.parametrize(
    "name", ["str", "string", "object", "Int64", "UInt8", "Float32", "boolean", "arrow int", "arrow text"]
)
def test_how_a_frame_came_about_makes_no_difference(name: str) -> None:
    series = COLUMNS[name]
    frame = series.to_frame()
    joined = pd.concat([series[:1], series[1:1], series[1:5], series[5:]]).to_frame()
    assert fingerprint(joined) == fingerprint(frame)
    if name != "object":  # where NaN would be put for None
        overwritten = series.fillna(series.iloc[0]).mask(series.isna().to_numpy(dtype=bool))
        assert fingerprint(overwritten) == fingerprint(series)
    full = series.dropna().reset_index(drop=True)
    assert fingerprint(full) == fingerprint(pd.Series(full.tolist(), dtype=series.dtype))
    head = pd.Series(series.iloc[:4].tolist(), dtype=series.dtype, name=series.name)
    assert fingerprint(series.head(4)) == fingerprint(head)


def test_what_lies_under_missing_values_is_not_written() -> None:
    for dtype, value in (("Int64", 7), ("Float64", 7.5), ("boolean", True)):
        series = pd.Series([value, value], dtype=dtype)
        series[0] = pd.NA
        shifted = pd.Series([value, value], dtype=dtype).shift(1)
        same = pd.Series([None, value], dtype=dtype)
        assert fingerprint(series) == fingerprint(shifted) == fingerprint(same)
        check_same(round_trip(shifted), same)


def test_chunks_of_more_than_some_megabytes_are_not_joined(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pandas_frame, "_JOIN_UP_TO", 10)
    series = pd.concat([pd.Series(["abc"] * 100, dtype="string[pyarrow]")] * 2, ignore_index=True)
    header = registry.dump(series).header
    assert len(header["data"][0]["chunks"]) == 2
    check_same(round_trip(series), series)


def test_what_comes_back_is_private_and_writable() -> None:
    frame = pd.DataFrame({name: COLUMNS[name] for name in ("int", "nan", "str", "Int64", "category", "object")})
    dumped = registry.dump(frame)
    first, second = load(dumped), load(dumped)
    for name in frame:
        first.loc[0, name] = first.loc[2, name]
    first["int"] += 1
    check_same(second, frame)
    check_same(load(dumped), frame)
    assert not (first["int"] == frame["int"]).any()


def test_a_frame_can_come_back_readonly() -> None:
    loaded = round_trip(pd.DataFrame({"a": np.arange(3)}), readonly=True)
    with pytest.raises(ValueError, match="read-only"):
        loaded.iloc[0, 0] = 1


class Table(pd.DataFrame):  # type: ignore[misc]
    pass


def noted() -> Any:
    frame = pd.DataFrame({"a": [1]})
    frame.attrs["unit"] = "m"
    return frame


@pytest.mark.parametrize(
    "obj",
    [
        pd.DataFrame({"a": pd.Series([1, "x"], dtype=object)}),
        pd.DataFrame({"a": pd.Series(["x", np.nan], dtype=object)}),
        pd.DataFrame({"a": pd.Series(["\ud800"], dtype=object)}),
        pd.DataFrame({"a": [decimal.Decimal(1)]}),
        pd.DataFrame({"a": pd.period_range("2026", periods=2, freq="Y")}),
        pd.DataFrame({"a": pd.arrays.SparseArray([0, 0, 1])}),
        pd.DataFrame({"a": pd.date_range("2026", periods=2, tz="Europe/Berlin")}),
        pd.DataFrame({"a": [1]}, index=pd.interval_range(0, 1)),
        pd.DataFrame([[1, 2]], columns=[1, "x"]),
        pd.Series([1], name=("a", "tuple")),
        pd.Series([1], index=pd.Index([1], name=2.5)),
        Table({"a": [1]}),
        noted(),
    ],
    ids=lambda obj: str(getattr(obj, "dtypes", "")).replace("\n", " ")[:40],
)
def test_what_would_not_be_exact_goes_by_pickle(obj: Any) -> None:
    assert registry.dump(obj).serializer.startswith("pickle")
    loaded = round_trip(obj)
    assert type(loaded) is type(obj)
    assert loaded.equals(obj)


@pytest.mark.parametrize(
    "change",
    [{"type": "Panel"}, {"arrays": 0}, {"arrays": -1}, {"data": [{"array": 9, "dtype": "<i8"}]},
     {"data": [{"array": 0, "dtype": "|O"}]}, {"data": [{"array": 0, "dtype": "<i2"}]}, {"index": {}},
     {"columns": None}, {"index": {"range": [0, 1, 1], "name": None}}],
    ids=str,
)  # fmt: skip
def test_a_header_that_does_not_fit_is_a_format_error(change: dict[str, Any]) -> None:
    dumped = registry.dump(pd.DataFrame({"a": np.arange(3)}))
    header, buffers = stored(dumped)
    with pytest.raises(FormatError):
        registry.load("pandas", 1, {**header, **change}, buffers)


def test_the_same_frame_gives_the_same_bytes_everywhere() -> None:
    assert fingerprint(pd.DataFrame({"a": np.arange(3, dtype="<i8"), "b": [0.5, np.nan, 1]})) == "40375f072782751c"
    assert fingerprint(pd.Series(["x", "y", "x"], dtype="category", name="c")) == "ab6c0a7d1c9d0d61"


def test_labels_of_columns_that_are_gone_are_not_stored() -> None:
    frame = pd.DataFrame([[1, 2, 3]], columns=["a", "b", "cut off"])
    assert fingerprint(frame.iloc[:, :2]) == fingerprint(pd.DataFrame([[1, 2]], columns=["a", "b"]))
