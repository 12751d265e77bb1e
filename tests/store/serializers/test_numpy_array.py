from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fastdatastore.errors import FormatError
from fastdatastore.store.serializers import registry
from tests.support.serialized import fingerprint, round_trip

STRUCTURES = [
    np.dtype([("a", "<f8"), ("b", ">i2"), ("c", "S3")]),
    np.dtype([("a", "u1"), ("b", "f8")], align=True),
    np.dtype([("inner", [("x", "f4", (2, 3)), ("y", "M8[ms]")]), ("z", "?")]),
    np.dtype({"names": ["a", "b"], "formats": ["i4", "i4"], "offsets": [8, 0], "itemsize": 24}),
    np.dtype({"names": ["a", "b"], "formats": ["i4", "f4"], "offsets": [0, 0]}),
    np.dtype([(("title", "a"), "i4"), ("b", "V3")]),
    np.dtype([]),
]
PLAIN = ["?", "i1", "u8", ">i4", "<f2", ">f8", "g", "c8", ">c16", "S5", "S0", "U4", ">U2", "U0", "V7", "M8[ns]", "M8",
         ">M8[25s]", "m8[D]", "m8"]  # fmt: skip


def check_same(loaded: Any, array: Any) -> None:
    assert type(loaded) is np.ndarray
    assert loaded.dtype == array.dtype
    assert loaded.dtype.isalignedstruct == array.dtype.isalignedstruct
    assert loaded.shape == array.shape
    assert loaded.tobytes() == array.tobytes()


def filled(dtype: Any, shape: tuple[int, ...]) -> Any:
    array = np.zeros(shape, dtype)
    if array.nbytes and array.dtype.kind not in "U?":
        array.reshape(-1).view("u1")[:] = np.arange(array.nbytes) % 251
    return array


@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 0, 3), (2, 3, 4)])
@pytest.mark.parametrize("dtype", [*PLAIN, *STRUCTURES], ids=str)
def test_every_dtype_and_shape_comes_back(dtype: Any, shape: tuple[int, ...]) -> None:
    array = filled(dtype, shape)
    assert registry.dump(array).serializer == "numpy"
    check_same(round_trip(array, allow_pickle=False), array)


@given(array=hnp.arrays(hnp.array_dtypes() | hnp.scalar_dtypes(), hnp.array_shapes(min_dims=0, min_side=0, max_side=4)))
@settings(max_examples=200, deadline=None)
def test_any_array_comes_back(array: Any) -> None:
    check_same(round_trip(array), array)


@given(data=st.data())
@settings(max_examples=100, deadline=None)
def test_any_view_of_an_array_comes_back_equal(data: st.DataObject) -> None:
    array = np.arange(4 * 5 * 6, dtype=data.draw(st.sampled_from(["<i2", ">f8"]))).reshape(4, 5, 6)
    view = array.transpose(data.draw(st.permutations(range(3))))
    view = view[data.draw(hnp.basic_indices(view.shape))]
    check_same(round_trip(np.asarray(view)), np.asarray(view))


def test_the_order_of_Fortran_is_kept_without_a_copy() -> None:
    array = np.asfortranarray(np.arange(12.0).reshape(3, 4))
    dumped = registry.dump(array)
    assert np.shares_memory(np.asarray(dumped.buffers[0].view), array)
    loaded = round_trip(array)
    assert loaded.flags.f_contiguous
    assert not loaded.flags.c_contiguous
    assert (loaded == array).all()


def test_a_contiguous_array_is_not_copied_and_cut_at_its_items() -> None:
    array = np.arange(10, dtype=">i4")
    (spec,) = registry.dump(array).buffers
    assert np.shares_memory(np.asarray(spec.view), array)
    assert (spec.item, spec.align) == (4, 64)


def test_what_comes_back_is_private_writable_and_aligned() -> None:
    array = np.arange(10.0)
    array.flags.writeable = False
    first, second = round_trip(array), round_trip(array)
    assert first.flags.writeable
    assert first.flags.aligned
    assert first.ctypes.data % 64 == 0
    first[:] = -1
    assert (second == np.arange(10.0)).all()
    assert (array == np.arange(10.0)).all()


@pytest.mark.parametrize("shape", [(4,), (0,), ()])
def test_a_readonly_array_stays_so(shape: tuple[int, ...]) -> None:
    assert not round_trip(np.ones(shape), readonly=True).flags.writeable


def test_payloads_of_nan_are_kept() -> None:
    array = np.array([0x7FF8_0000_0000_0001, 0xFFF0_DEAD_BEEF_0001], "<u8").view("<f8")
    assert (round_trip(array).view("<u8") == array.view("<u8")).all()


@pytest.mark.parametrize(
    "other",
    [
        np.ma.masked_array([1, 2], [True, False]),
        np.rec.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")]),
        np.array([object(), None]),
        np.zeros(2, [("a", "O")]),
        np.zeros(2, np.dtype("i4", metadata={"unit": "m"})),
        np.zeros(2, [("\ud800", "i4")]),
        np.float64(1),
    ],
    ids=["masked", "record", "object", "object in a structure", "metadata", "surrogate", "scalar"],
)
def test_other_kinds_of_arrays_go_elsewhere(other: Any) -> None:
    from fastdatastore.store.serializers.numpy_array import SERIALIZER

    assert not SERIALIZER.accepts(other)


@pytest.mark.parametrize(
    "change",
    [
        {"dtype": "O"},
        {"dtype": "|O"},
        {"dtype": "i4,O"},
        {"dtype": "<f16"},
        {"dtype": 8},
        {"dtype": {"fields": [["a", "|O", 0, None]], "itemsize": 8, "aligned": False}},
        {"dtype": {"fields": [["a", "<i4", 100, None]], "itemsize": 8, "aligned": False}},
        {"dtype": {"base": "<i4", "shape": [-1]}},
        {"order": "K"},
        {"shape": [5]},
        {"shape": [-1, -4]},
        {"shape": [1 << 61, 4]},
        {"shape": ["4"]},
        {"shape": None},
    ],
    ids=str,
)
def test_a_header_that_does_not_fit_is_a_format_error(change: dict[str, Any]) -> None:
    header = {"dtype": "<f8", "order": "C", "shape": [4], **change}
    with pytest.raises(FormatError):
        registry.load("numpy", 1, header, [memoryview(bytearray(32))])


def test_the_same_array_gives_the_same_bytes_everywhere() -> None:
    assert fingerprint(np.arange(6, dtype="<f8").reshape(2, 3)) == "14b2091ae3b5f14e"
    assert fingerprint(np.arange(6, dtype=">i4").reshape(2, 3).T) == "65bd1c6508e5f413"
    assert fingerprint(np.array("2026-01-01", "<M8[D]")) == "a12d08ce82fcecdb"
    assert fingerprint(filled(STRUCTURES[2], (3,))) == "17b430b6755925b0"


@pytest.mark.parametrize("text", ["S0", "U0"])
def test_text_without_characters_comes_back(text: str) -> None:
    array = np.zeros(3, [("a", text), ("b", "i1")])["a"]
    assert array.dtype.itemsize == 0
    assert round_trip(array).dtype == array.dtype
    with pytest.raises(FormatError):  # NumPy would take a byte or four for each
        registry.load("numpy", 1, {"dtype": f"|{text}", "order": "C", "shape": [1 << 45]}, [memoryview(bytearray())])
