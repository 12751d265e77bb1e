from __future__ import annotations

import datetime
import decimal
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastdatastore.errors import FormatError, SerializationError
from fastdatastore.store.serializers import registry
from tests.support.serialized import fingerprint, load, round_trip, stored

TYPES = {
    "null": (pa.null(), None),
    "bool": (pa.bool_(), True),
    "int8": (pa.int8(), -1),
    "uint64": (pa.uint64(), 1 << 63),
    "float16": (pa.float16(), 0.5),
    "float64": (pa.float64(), 0.1),
    "string": (pa.string(), "text"),
    "large_string": (pa.large_string(), "text"),
    "string_view": (pa.string_view(), "longer than twelve bytes"),
    "binary": (pa.binary(), b"bytes"),
    "binary_view": (pa.binary_view(), b"longer than twelve bytes"),
    "fixed_binary": (pa.binary(3), b"abc"),
    "decimal": (pa.decimal128(10, 2), decimal.Decimal("1.25")),
    "date": (pa.date32(), datetime.date(2026, 1, 2)),
    "timestamp": (pa.timestamp("us", "Europe/Berlin"), datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC)),
    "duration": (pa.duration("ns"), datetime.timedelta(seconds=1)),
    "list": (pa.list_(pa.field("x", pa.int32(), nullable=False)), [1, 2]),
    "large_list": (pa.large_list(pa.string()), ["a", None]),
    "list_view": (pa.list_view(pa.int8()), [1]),
    "fixed_list": (pa.list_(pa.float32(), 2), [1.0, 2.0]),
    "struct": (pa.struct([("a", pa.int8()), ("b", pa.list_(pa.string()))]), {"a": 1, "b": ["x"]}),
    "map": (pa.map_(pa.string(), pa.int8()), [("k", 1)]),
    "dictionary": (pa.dictionary(pa.int8(), pa.string(), ordered=True), "word"),
    "nested dictionary": (pa.list_(pa.dictionary(pa.int32(), pa.string())), ["word", "word"]),
    "no fields": (pa.struct([]), {}),
}
if hasattr(pa, "uuid"):  # from 18 on
    TYPES["uuid"] = (pa.uuid(), bytes(16))


def check_same(loaded: Any, table: Any) -> None:
    assert type(loaded) is type(table)
    assert loaded.schema.equals(table.schema, check_metadata=True)
    assert loaded.equals(table, check_metadata=True)
    loaded.validate(full=True)
    if isinstance(table, pa.Table):
        for one, other in zip(loaded.columns, table.columns, strict=True):
            assert [len(chunk) for chunk in one.chunks] == [len(chunk) for chunk in other.chunks]


def array_of(name: str, count: int) -> Any:
    kind, value = TYPES[name]
    return pa.array([None if index % 3 == 1 else value for index in range(count)], kind)


@pytest.mark.parametrize("count", [0, 1, 10])
@pytest.mark.parametrize("name", TYPES)
def test_every_type_comes_back(name: str, count: int) -> None:
    array = array_of(name, count)
    check_same(round_trip(pa.table({"c": array}), allow_pickle=False), pa.table({"c": array}))
    batch = pa.record_batch([array, array], names=["a", "a"])
    check_same(round_trip(batch, allow_pickle=False), batch)


# Arrow itself keeps all the text of a view's array with each slice of it.
@pytest.mark.parametrize("name", [name for name in TYPES if "view" not in name or "list" in name])
def test_slices_come_back_without_the_rest(name: str) -> None:
    table = pa.table({"c": array_of(name, 5000)})
    for part in (table.slice(7, 11), table.slice(0, 3), table.slice(4990), table.slice(5000)):
        dumped = registry.dump(part)
        assert sum(spec.view.nbytes for spec in dumped.buffers) < 8192
        check_same(load(dumped), part)


SECRETS: dict[str, tuple[Any, Any]] = {
    "string": (pa.string(), ["x", None, "SECRET"]),
    "large string": (pa.large_string(), ["x", None, "SECRET"]),
    "string view": (pa.string_view(), ["x", None, "a SECRET longer than twelve bytes"]),
    "fixed binary": (pa.binary(6), [b"abcdef", None, b"SECRET"]),
    "list": (pa.list_(pa.string()), [["x"], None, ["SECRET"]]),
    "list view": (pa.list_view(pa.string()), [["x"], None, ["SECRET"]]),
    "fixed list": (pa.list_(pa.string(), 1), [["x"], None, ["SECRET"]]),
    "struct": (pa.struct([("a", pa.string())]), [{"a": "x"}, None, {"a": "SECRET"}]),
    "map": (pa.map_(pa.string(), pa.string()), [[("x", "y")], None, [("k", "SECRET")]]),
    "list of structs": (pa.list_(pa.struct([("a", pa.binary())])), [[{"a": b"x"}], None, [{"a": b"SECRET"}]]),
}


def written(obj: object) -> bytes:
    return b"".join(spec.view for spec in registry.dump(obj).buffers)


@pytest.mark.parametrize("name", SECRETS)
def test_nothing_of_rows_that_were_cut_off_is_written(name: str) -> None:
    kind, values = SECRETS[name]
    whole = pa.table({"c": pa.array(values, kind)})
    assert b"SECRET" in written(whole)
    for length in (0, 1, 2):
        part, same = whole.slice(0, length), pa.table({"c": pa.array(values[:length], kind)})
        assert b"SECRET" not in written(part)
        assert b"SECRET" not in written(part.to_batches()[0] if length else part)
        assert fingerprint(part) == fingerprint(same)
        check_same(round_trip(part), part)


def test_nothing_of_unions_and_runs_that_were_cut_off_is_written() -> None:
    children = [pa.array([1, 2]), pa.array(["x", "SECRET"])]
    types = pa.array([1, 0, 1], pa.int8())
    dense = pa.UnionArray.from_dense(types, pa.array([0, 0, 1], pa.int32()), children)
    sparse = pa.UnionArray.from_sparse(types, [pa.array([1, 2, 3]), pa.array(["x", "y", "SECRET"])])
    runs = pa.RunEndEncodedArray.from_arrays([2, 5], ["x", "SECRET"])
    for array in (dense, sparse, runs):
        part = pa.table({"c": array}).slice(0, 2)
        assert b"SECRET" in written(pa.table({"c": array}))
        assert b"SECRET" not in written(part)
        check_same(round_trip(part), part)
    assert fingerprint(pa.table({"c": runs}).slice(0, 2)) == fingerprint(
        pa.table({"c": pa.RunEndEncodedArray.from_arrays([2], ["x"])})
    )


INNER = {
    **{name: array_of(name, 4) for name in TYPES if name != "float16"},
    "runs": pa.RunEndEncodedArray.from_arrays([2, 4], ["a", None]),
    "dense": pa.UnionArray.from_dense(
        pa.array([0, 1, 0, 0], pa.int8()), pa.array([0, 0, 1, 2], pa.int32()), [pa.array([1, 2, 3]), pa.array(["a"])]
    ),
}


@pytest.mark.parametrize("name", INNER)
def test_slices_of_whatever_is_in_others_come_back(name: str) -> None:
    inner = INNER[name]
    lists = pa.ListArray.from_arrays(pa.array([0, 1, 2, 3, 4], pa.int32()), inner)
    ends = pa.array([0, 1, 2, 3], pa.int32())
    arrays = [
        pa.Array.from_buffers(lists.type, 4, [pa.py_buffer(b"\x05"), lists.buffers()[1]], children=[inner]),
        pa.UnionArray.from_dense(pa.array([0] * 4, pa.int8()), ends, [inner]),
        pa.UnionArray.from_sparse(pa.array([0] * 4, pa.int8()), [inner]),
        pa.StructArray.from_arrays([inner], ["a"]),
        pa.FixedSizeListArray.from_arrays(inner, 1),
        pa.ListViewArray.from_arrays(ends, pa.array([1] * 4, pa.int32()), inner),
    ]
    for array in arrays:
        table = pa.table({"c": array})
        for part in (table, table.slice(0, 1), table.slice(1, 2)):
            check_same(round_trip(part), part)


def test_children_and_dictionaries_that_are_slices_are_cut() -> None:
    tail = pa.array(["SECRET", "x", "y", "SECRET"]).slice(1, 2)
    arrays = [
        pa.StructArray.from_arrays([tail], ["a"]),
        pa.ListArray.from_arrays(pa.array([0, 1, 2], pa.int32()), tail),
        pa.DictionaryArray.from_arrays(pa.array([0, 1], pa.int8()), tail),
    ]
    table = pa.table(arrays, names=["struct", "list", "dictionary"])
    assert b"SECRET" not in written(table)
    check_same(round_trip(table), table)


@pytest.mark.parametrize("name", [name for name in TYPES if "dictionary" not in name])
@given(data=st.data())
@settings(max_examples=20, deadline=None)
def test_a_slice_is_written_as_the_same_rows_are(name: str, data: st.DataObject) -> None:
    kind, value = TYPES[name]
    values = data.draw(st.lists(st.sampled_from([value, None]), min_size=1, max_size=40))
    start, length = data.draw(st.tuples(st.integers(0, len(values)), st.integers(1, len(values))))
    part = pa.table({"c": pa.array(values, kind)}).slice(start, length)
    same = pa.table({"c": pa.array(values[start : start + length], kind)})
    if part.num_rows:
        assert fingerprint(part) == fingerprint(same)
    check_same(round_trip(part), part)


def test_slices_at_the_beginning_are_not_copied() -> None:
    array = pa.array(range(10_000), pa.int32())
    dumped = registry.dump(pa.table({"c": array}).slice(0, 9000))
    (number,) = [at for at, spec in enumerate(dumped.buffers) if spec.view.nbytes == 36_000]
    assert pa.py_buffer(dumped.buffers[number].view).address == array.buffers()[1].address


def with_bitmap(array: Any, bitmap: bytes) -> Any:
    return pa.Array.from_buffers(array.type, len(array), [pa.py_buffer(bitmap), *array.buffers()[1:]])


@pytest.mark.parametrize(
    ("values", "kind"),
    [([1, 2, 3], pa.int64()), ([1.5, 2.5, 3.5], pa.float32()), ([b"abc"] * 3, pa.binary(3)), ([True] * 3, pa.bool_()),
     ([5, 6, 7], pa.decimal128(5, 0)), (["a", "bc", "d"], pa.string()), ([b"a", b"b", b"c"], pa.large_binary())],
    ids=str,
)  # fmt: skip
def test_what_lies_under_nulls_is_not_written(values: list[Any], kind: Any) -> None:
    array = pa.array(values, kind)
    hiding = pa.table({"c": with_bitmap(array, b"\xfd")})  # the second is null; bits beyond the end are set
    plain = pa.table({"c": pa.array([values[0], None, values[2]], kind)})
    check_same(hiding, plain)
    assert fingerprint(hiding) == fingerprint(plain)
    check_same(round_trip(hiding), plain)
    assert fingerprint(pa.table({"c": with_bitmap(array, b"\xff")})) == fingerprint(pa.table({"c": array}))


def test_one_value_under_a_null_far_behind_is_not_written() -> None:
    values = [0] * 200_000
    bitmap = b"\xfe" * 25_000  # every eighth is null
    plain = pa.table({"c": with_bitmap(pa.array(values), bitmap)})
    values[199_992] = 7
    assert fingerprint(pa.table({"c": with_bitmap(pa.array(values), bitmap)})) == fingerprint(plain)


def test_lists_that_are_null_are_written_without_their_values() -> None:
    lists = pa.array([["a"], ["SECRET"], ["b"]])
    hiding = pa.Array.from_buffers(lists.type, 3, [pa.py_buffer(b"\x05"), lists.buffers()[1]], children=[lists.values])
    table, plain = pa.table({"c": hiding}), pa.table({"c": pa.array([["a"], None, ["b"]])})
    assert b"SECRET" not in written(table)
    assert fingerprint(table) == fingerprint(plain)
    check_same(round_trip(table), plain)


def test_a_batch_keeps_little_of_what_was_cut_off_and_nothing_but_integers() -> None:
    """As golden refs have it."""
    batch = pa.record_batch({"a": range(2000), "b": [f"SECRET {at}" for at in range(2000)]})
    assert b"SECRET" not in written(batch.slice(0, 0))
    assert len(written(batch.slice(0, 10))) < 8192
    check_same(round_trip(batch.slice(0, 10)), batch.slice(0, 10))


def test_dictionaries_of_dictionaries_go_by_pickle() -> None:
    """Arrow's own schema has no place for the inner one."""
    words = pa.array(["x", "y", "x"]).dictionary_encode()
    array = pa.DictionaryArray.from_arrays(pa.array([0, 1]), words)
    for nested in (array, pa.ListArray.from_arrays([0, 2], array), pa.StructArray.from_arrays([array], ["a"])):
        table = pa.table({"c": nested})
        assert registry.dump(table).serializer.startswith("pickle")
        assert round_trip(table).equals(table)
        frame = pd.DataFrame({"c": pd.arrays.ArrowExtensionArray(nested)})
        assert registry.dump(frame).serializer.startswith("pickle")


def test_an_array_that_could_not_be_loaded_is_refused() -> None:
    offsets = pa.array([0, 9, 3], pa.int32()).buffers()[1]
    array = pa.Array.from_buffers(pa.string(), 2, [None, offsets, pa.py_buffer(b"abc")])
    with pytest.raises(SerializationError, match="not valid"):
        registry.dump(pa.table({"c": array}))


@pytest.mark.parametrize("mode", ["sparse", "dense"])
def test_unions_come_back(mode: str) -> None:
    children = [pa.array([1, 2, 3]), pa.array(["a", "b", "c"])]
    types = pa.array([0, 1, 0], pa.int8())
    if mode == "sparse":
        array = pa.UnionArray.from_sparse(types, children)
    else:
        array = pa.UnionArray.from_dense(types, pa.array([0, 1, 2], pa.int32()), children)
    check_same(round_trip(pa.table({"c": array})), pa.table({"c": array}))


def test_run_ends_come_back() -> None:
    table = pa.table({"c": pa.RunEndEncodedArray.from_arrays([2, 5], ["a", None])})
    check_same(round_trip(table), table)


def test_metadata_and_nullability_come_back() -> None:
    schema = pa.schema(
        [pa.field("a", pa.int8(), nullable=False, metadata={"unit": "m"})], metadata={b"\x00key": b"v\xff"}
    )
    table = pa.table({"a": pa.array([1], pa.int8())}, schema=schema)
    check_same(round_trip(table), table)


def test_chunks_come_back_as_they_were() -> None:
    table = pa.table({"a": pa.chunked_array([[1, 2], [], [3]]), "b": pa.chunked_array([["x"], ["y", None]])})
    check_same(round_trip(table), table)
    check_same(
        round_trip(pa.table({"a": pa.chunked_array([], pa.int8())})), pa.table({"a": pa.chunked_array([], pa.int8())})
    )


def test_no_columns_come_back() -> None:
    check_same(round_trip(pa.table({})), pa.table({}))
    table = pa.table({"a": [1, 2]}, metadata={"k": "v"}).select([])
    for obj in (table, pa.record_batch({"a": [1, 2]}).select([])):
        assert obj.num_rows == 2
        assert round_trip(obj).num_rows == 2
        check_same(round_trip(obj), obj)


@given(columns=st.lists(st.tuples(st.sampled_from(sorted(TYPES)), st.integers(0, 20), st.integers(0, 20)), max_size=4))
@settings(max_examples=100, deadline=None)
def test_any_table_comes_back(columns: list[tuple[str, int, int]]) -> None:
    arrays = [
        pa.chunked_array([array_of(name, 20).slice(0, at), array_of(name, 20).slice(at)]) for name, at, _ in columns
    ]
    table = pa.table(arrays, names=[str(index) for index in range(len(arrays))])
    check_same(round_trip(table), table)
    if columns:
        check_same(round_trip(table.slice(columns[0][2])), table.slice(columns[0][2]))


def test_no_buffer_is_copied_on_the_way_in_or_out() -> None:
    array = pa.array(range(10_000), pa.int32())
    dumped = registry.dump(pa.table({"c": array}))
    (number,) = [at for at, spec in enumerate(dumped.buffers) if spec.view.nbytes == 40_000]
    assert pa.py_buffer(dumped.buffers[number].view).address == array.buffers()[1].address
    assert dumped.buffers[number].item == 4
    header, buffers = stored(dumped)
    loaded = registry.load("arrow", 1, header, buffers)
    assert loaded["c"].chunk(0).buffers()[1].address == pa.py_buffer(buffers[number]).address


def test_a_dictionary_that_chunks_share_is_written_once() -> None:
    words = pa.array([f"word {index}" for index in range(1000)])
    chunks = [pa.DictionaryArray.from_arrays(pa.array([index], pa.int32()), words) for index in range(10)]
    table = pa.table({"c": pa.chunked_array(chunks)})
    assert sum(spec.view.nbytes for spec in registry.dump(table).buffers) < 2 * words.nbytes
    check_same(round_trip(table), table)


def test_counted_nulls_make_no_difference() -> None:
    one, other = array_of("list", 10), array_of("list", 10)
    assert other.values.null_count == 0
    assert other.null_count == 3
    assert fingerprint(pa.table({"c": one})) == fingerprint(pa.table({"c": other}))


@pytest.mark.parametrize(
    "change",
    [
        {"rows": 7},
        {"type": "Array"},
        {"columns": []},
        {"columns": [[1], [0]]},
        {"columns": [[-1]]},
        {"nodes": []},
        {"nodes": [[0, 1000, 0, 0, [None, 1], [], None]]},
        {"nodes": [[0, 3, 0, 1 << 50, [None, 1], [], None]]},
        {"nodes": [[0, 3, 0, -1, [None, 1], [], None]]},
        {"nodes": [[0, 3, 5, 0, [1, 1], [], None]]},
        {"nodes": [[0, 3, 0, 0, [1], [], None]]},
        {"nodes": [[0, 3, 0, 0, [None, None], [], None]]},
        {"nodes": [[0, 3, 0, 0, [None, 9], [], None]]},
        {"nodes": [[0, 3, 0, 0, [None, 1], [0], None]]},
        {"nodes": [[9, 3, 0, 0, [None, 1], [], None]]},
    ],
    ids=str,
)
def test_a_header_that_does_not_fit_is_a_format_error(change: dict[str, Any]) -> None:
    dumped = registry.dump(pa.table({"c": pa.array([1, 2, 3], pa.int64())}))
    header, buffers = stored(dumped)
    assert header["nodes"] == [[0, 3, 0, 0, [None, 1], [], None]]
    with pytest.raises(FormatError):
        registry.load("arrow", 1, {**header, **change}, buffers)


def test_the_same_table_gives_the_same_bytes_everywhere() -> None:
    assert fingerprint(pa.table({"a": [1, None], "b": ["x", "y"]}, metadata={"m": "1"})) == "13433bf6410f579e"
    assert fingerprint(pa.table({"d": pa.array(["x", "y", "x"]).dictionary_encode()})) == "c3216b101b499b2d"


HOSTILE = {
    "string": (pa.array(["ab", "c", None]), 2),
    "large string": (pa.array(["ab", "c"], pa.large_string()), 1),
    "string view": (pa.array(["ab", "c" * 40], pa.string_view()), 1),
    "list": (pa.array([[1, 2], [3], None]), 2),
    "large list": (pa.array([[1, 2], [3]], pa.large_list(pa.int64())), 1),
    "list view": (pa.array([[1, 2], [3]], pa.list_view(pa.int64())), 1),
    "map": (pa.array([[("a", 1)], [("b", 2)]], pa.map_(pa.string(), pa.int64())), 1),
    "list of strings": (pa.array([["ab"], ["c"]]), 2),
    "dictionary": (pa.array(["x", "y"]).dictionary_encode(), 1),
    "run ends": (pa.RunEndEncodedArray.from_arrays([2, 4], ["x", "y"]), 1),
    "union": (pa.UnionArray.from_sparse(pa.array([0, 1], pa.int8()), [pa.array([1, 2]), pa.array(["u", "v"])]), 1),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_offsets_and_indices_that_lead_out_of_the_data_are_a_format_error(name: str) -> None:
    array, number = HOSTILE[name]
    header, buffers = stored(registry.dump(pa.table({"c": array})))
    registry.load("arrow", 1, header, buffers)
    buffers[number][:] = b"\x70" * buffers[number].nbytes
    with pytest.raises(FormatError):
        registry.load("arrow", 1, header, buffers)


def test_an_offset_in_the_middle_of_text_cannot_read_other_memory() -> None:
    header, buffers = stored(registry.dump(pd.DataFrame({"c": pd.Series(["a", "bc", "d"], dtype=object)})))
    offsets = next(buffer for buffer in buffers if buffer.nbytes == 4 * 8)
    offsets[8:16] = (1 << 20).to_bytes(8, "little")
    with pytest.raises(FormatError):
        registry.load("pandas", 1, header, buffers, allow_pickle=False)


@pytest.mark.parametrize(
    ("kind", "content"),
    [(pa.string(), b"\xff\xfe"), (pa.date64(), (5).to_bytes(8, "little")), (pa.time32("s"), b"\xff" * 4)],
    ids=str,
)
def test_values_that_arrow_finds_strange_come_back_all_the_same(kind: Any, content: bytes) -> None:
    offsets = [pa.py_buffer(b"\0\0\0\0\2\0\0\0")] if kind == pa.string() else []
    array = pa.Array.from_buffers(kind, 1, [None, *offsets, pa.py_buffer(content)])
    loaded = round_trip(pa.table({"c": array}))["c"].chunk(0)
    assert loaded.type == kind
    assert bytes(loaded.buffers()[-1]) == content


def test_a_schema_that_is_none_is_a_format_error() -> None:
    header, buffers = stored(registry.dump(pa.table({"c": [1]})))
    buffers[0][8:] = b"\xff" * (buffers[0].nbytes - 8)
    with pytest.raises(FormatError):
        registry.load("arrow", 1, header, buffers)


def test_a_part_of_a_batch_is_a_batch_of_that_part() -> None:
    batch = pa.record_batch({"n": [1, 2, 3], "s": ["x", "cut off", "y"], "d": pa.array(["a", "b", "a"])})
    assert fingerprint(batch.slice(0, 1)) == fingerprint(pa.record_batch({"n": [1], "s": ["x"], "d": ["a"]}))
