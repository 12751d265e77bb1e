from __future__ import annotations

import array
import struct
from typing import Any

import numpy as np
import pytest

from fastdatastore.errors import FormatError, SerializationError
from fastdatastore.store.serializers import raw, registry
from tests.support.serialized import fingerprint, round_trip


@pytest.mark.parametrize("content", [b"", b"x", bytes(range(256)) * 100])
@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_bytes_come_back_as_the_same_type(kind: type, content: bytes) -> None:
    loaded = round_trip(kind(content), allow_pickle=False)
    assert type(loaded) is kind
    assert loaded == content


@pytest.mark.parametrize("code", "bBhHiIlLqQfd")
def test_a_memoryview_keeps_format_and_shape(code: str) -> None:
    view: Any = memoryview(array.array(code, range(24)))
    for source in (view, view.cast("B").cast(code, shape=[2, 3, 4]), view[:0], view[:1].cast("B").cast(code, shape=[])):
        loaded = round_trip(source, allow_pickle=False)
        assert (loaded.format, loaded.shape) == (source.format, source.shape)
        assert loaded == source


@pytest.mark.parametrize("code", "bB?hHiIlLqQefd")
@pytest.mark.parametrize("shape", [(), (0,), (3,), (0, 3), (3, 0), (2, 3), (2, 0, 3)])
def test_a_memoryview_of_an_array_comes_back_equal(code: str, shape: tuple[int, ...]) -> None:
    array = np.ones(shape, code)
    for source in (array.data, array.T.data, np.ones((4, 4), code)[1::2, ::3].data):
        for readonly in (False, True):
            loaded = round_trip(source, allow_pickle=False, readonly=readonly)
            assert (loaded.format, loaded.shape, loaded.readonly) == (source.format, source.shape, readonly)
            assert loaded == source


@pytest.mark.parametrize("source", [np.ones(2, "f2").data, np.ones((0, 3)).data], ids=["half", "empty"])
def test_a_memoryview_that_needs_NumPy_is_refused_where_there_is_none(
    source: memoryview, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(raw, "find_spec", lambda name: None)
    with pytest.raises(SerializationError, match="store its tobytes"):
        raw.SERIALIZER.dump(source)


def test_a_memoryview_with_steps_comes_back_equal() -> None:
    view = memoryview(bytes(range(100)))[::-3]
    assert round_trip(view) == view


def test_a_memoryview_is_private_and_writable_unless_asked_otherwise() -> None:
    source: Any = memoryview(b"abc")
    dumped = registry.dump(source)
    first, second = round_trip(source), round_trip(source)
    first[0] = 0
    assert second == source == b"abc"
    assert round_trip(source, readonly=True).readonly
    assert dumped.buffers[0].view.obj is source.obj  # not copied


def test_a_bytearray_is_private() -> None:
    source = bytearray(b"abc")
    loaded = round_trip(source)
    loaded[0] = 0
    assert source == b"abc"


def test_a_memoryview_of_an_unknown_format_is_refused() -> None:
    import ctypes

    class Pair(ctypes.Structure):
        _fields_ = (("a", ctypes.c_int), ("b", ctypes.c_int))

    with pytest.raises(SerializationError, match="store its tobytes"):
        registry.dump(memoryview(Pair()))


@pytest.mark.parametrize("form", ["b", "e"])
@pytest.mark.parametrize("shape", [[3], [-1], [0], [2, -4], [1 << 62], [True, "8"], [0, 8], [0, 1 << 62], [0, -1]])
def test_a_shape_that_does_not_fit_is_a_format_error(form: str, shape: list[int]) -> None:
    with pytest.raises(FormatError):
        registry.load("raw", 1, {"type": "memoryview", "format": form, "shape": shape}, [memoryview(bytearray(8))])


def test_the_same_bytes_give_the_same_bytes_everywhere() -> None:
    assert fingerprint(b"fastdatastore") == "086e4a69361da444"
    assert fingerprint(bytearray(b"fastdatastore")) == "ee83168a3416a79e"
    assert fingerprint(memoryview(struct.pack("=3d", 1, 2, 3)).cast("d")) == "663a4bfa7e51e20e"
