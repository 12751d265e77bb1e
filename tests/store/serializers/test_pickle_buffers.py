from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fastdatastore.errors import UntrustedPickle
from fastdatastore.store.serializers import registry
from tests.store.serializers.pickled import Model, Tensor
from tests.support.serialized import fingerprint, load, round_trip

LARGE = np.arange(100_000, dtype="<f8")


@pytest.mark.parametrize(
    "obj",
    [
        {"weights": LARGE},
        [1, [2, (LARGE, "x")]],
        Model("net", [LARGE]),
        {"tensor": Tensor(bytearray(100_000))},
        {"frame": {"deep": [Model("m", callback=LARGE)]}},
    ],
    ids=["dict", "list", "attribute", "tensor", "deep"],
)
def test_an_object_that_carries_large_buffers_is_found(obj: Any) -> None:
    assert registry.dump(obj).serializer == "pickle5"


@pytest.mark.parametrize(
    "obj", [{"small": np.zeros(10)}, {"a": list(range(10**6))}, {"bytes": bytes(10**6)}, Model("m")]
)
def test_others_go_by_protocol_4(obj: Any) -> None:
    assert registry.dump(obj).serializer == "pickle"


def test_a_ring_is_searched_once() -> None:
    ring: list[Any] = []
    ring.append(ring)
    assert registry.dump(ring).serializer == "pickle"


def test_large_buffers_are_not_copied_on_the_way_in() -> None:
    memory = bytearray(200_000)
    obj = {"array": LARGE, "order": np.asfortranarray(LARGE.reshape(100, 1000)), "tensor": Tensor(memory)}
    views = [np.asarray(spec.view) for spec in registry.dump(obj).buffers[1:]]
    assert np.shares_memory(views[0], LARGE)
    assert np.shares_memory(views[1], obj["order"])
    assert np.shares_memory(views[2], np.frombuffer(memory, "u1"))
    assert [spec.item for spec in registry.dump(obj).buffers] == [1, 8, 8, 1]


def test_large_buffers_are_not_copied_on_the_way_out() -> None:
    dumped = registry.dump({"array": LARGE})
    memory = [bytearray(spec.view) for spec in dumped.buffers]
    loaded = registry.load("pickle5", 1, dumped.header, [memoryview(one) for one in memory])
    assert np.shares_memory(loaded["array"], np.frombuffer(memory[1], "u1"))


@given(
    arrays=st.lists(
        hnp.arrays(hnp.array_dtypes() | hnp.scalar_dtypes(), hnp.array_shapes(min_dims=0, max_side=4)), max_size=4
    )
)
@settings(max_examples=100, deadline=None)
def test_any_arrays_in_a_container_come_back(arrays: list[Any]) -> None:
    loaded = round_trip([LARGE, *arrays])[1:]
    for one, array in zip(loaded, arrays, strict=True):
        assert one.dtype == array.dtype
        assert one.shape == array.shape
        assert one.tobytes() == array.tobytes()
        assert one.flags.writeable


def test_what_comes_back_is_private_writable_and_aligned() -> None:
    frozen = LARGE.copy()
    frozen.flags.writeable = False
    obj = {"large": frozen, "small": np.arange(3.0), "times": np.arange(20_000).view("M8[s]")}
    dumped = registry.dump(obj)
    first, second = load(dumped), load(dumped)
    assert first["large"].ctypes.data % 64 == 0
    for name in obj:
        assert first[name].flags.writeable
        first[name][:] = 0
        assert (second[name] == obj[name]).all()


def test_large_arrays_can_come_back_readonly() -> None:
    assert not round_trip({"large": LARGE}, readonly=True)["large"].flags.writeable


def test_one_array_in_two_places_stays_one() -> None:
    loaded = round_trip([LARGE, {"again": LARGE}])
    assert loaded[0] is loaded[1]["again"]


def test_cloudpickle_takes_its_own_buffers_only() -> None:
    loaded = round_trip({"large": LARGE, "f": lambda x: x + 1, "other": LARGE + 1})
    assert loaded["f"](1) == 2
    assert (loaded["large"] == LARGE).all()
    assert (loaded["other"] == LARGE + 1).all()


def test_other_arrays_come_back_as_they_are() -> None:
    obj: list[Any] = [LARGE, np.ma.masked_array([1, 2], [True, False]), np.array([None, {}])]
    obj.append(np.zeros(2, [("a", "i4")]).view(np.recarray))
    loaded = round_trip(obj)
    assert [type(one) for one in loaded] == [type(one) for one in obj]
    assert loaded[1].mask.tolist() == [True, False]


def test_a_pickle_with_buffers_is_refused_unless_allowed() -> None:
    with pytest.raises(UntrustedPickle):
        round_trip({"large": LARGE}, allow_pickle=False)


def test_the_same_arrays_give_the_same_bytes_everywhere() -> None:
    frozen = LARGE.copy()
    frozen.flags.writeable = False
    assert fingerprint({"weights": LARGE, "bias": np.ones(3)}) == "b5894d12b6f15cb2"
    assert fingerprint({"weights": frozen, "bias": np.ones(3)}) == "b5894d12b6f15cb2"
