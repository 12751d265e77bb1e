from __future__ import annotations

import collections
import functools
import threading
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pytest

from fastdatastore.errors import SerializationError
from fastdatastore.store.serializers import registry
from tests.store.serializers.pickled import Broken, Model, Slotted

LOCK = threading.Lock()


@dataclass(frozen=True, slots=True)
class Frozen:
    name: str
    handle: Any


class Listed:
    """Its state is no dict."""

    def __getstate__(self) -> Any:
        return ["x", LOCK]


class Holder:
    def __init__(self) -> None:
        self.lock = LOCK

    def method(self) -> None: ...


class Silent:
    def __repr__(self) -> str:
        raise RuntimeError("no words")


def _with_attrs() -> pd.DataFrame:
    frame = pd.DataFrame({"a": [1]})
    frame.attrs["lock"] = LOCK
    return frame


PARTS = [
    (LOCK, ""),
    ({"model": Model("m", callback=LOCK)}, "['model'].callback"),
    ([1, (2, {"a": [LOCK]})], "[1][1]['a'][0]"),
    (Slotted(LOCK), ".handle"),
    (Model("m", layers=[Slotted(LOCK)]), ".layers[0].handle"),
    ({"deep": [Broken()]}, "['deep'][0]"),
]
PARTS += [
    # pandas
    (pd.DataFrame({"ok": ["a", "b"], "bad": [1, LOCK]}), "['bad'].iloc[1]"),
    ({"frame": pd.DataFrame({("x", 1): [LOCK]})}, "['frame'][('x', 1)].iloc[0]"),
    (pd.DataFrame([["a", LOCK]], columns=["same", "same"]), "['same'].iloc[0]"),
    (pd.DataFrame({"a": [1, 2]}, index=[1, LOCK]), ".index[1]"),
    (pd.DataFrame([[1, 2]], columns=["a", LOCK]), ".columns[1]"),
    (_with_attrs(), ".attrs['lock']"),
    (pd.Series(["a", LOCK]), ".iloc[1]"),
    (pd.Index(["a", LOCK]), "[1]"),
    # NumPy
    (np.array([1, LOCK], object), "[1]"),
    (np.array([[1, LOCK]], object), "[0, 1]"),
    (np.array(LOCK, object), "[()]"),
    (np.array([(1, LOCK)], [("a", int), ("b", object)]), "[0]['b']"),
    (np.ma.masked_array(np.array([1, LOCK], object), [False, False]), "[1]"),
    # what pickle asks __reduce_ex__ for
    (collections.deque([1, LOCK]), "[1]"),
    (collections.OrderedDict(a=LOCK), "['a']"),
    (functools.partial(print, LOCK), ".args[0]"),
    (functools.partial(print, sep=LOCK), ".keywords['sep']"),
    (ValueError("x", LOCK), ".args[1]"),
    (Frozen("x", LOCK), ".handle"),
    (Listed(), ".__reduce_ex__(4)[2][1]"),
    # code
    (lambda x=LOCK: x, ".__defaults__[0]"),
    (lambda *, x=LOCK: x, ".__kwdefaults__['x']"),
    (lambda: LOCK, ".__globals__['LOCK']"),
    (lambda: [LOCK for _ in "x"], ".__globals__['LOCK']"),
    (Holder().method, ".__self__.lock"),
    (LOCK.acquire, ".__self__"),
    # and all of it at once
    (Model("m", [{"q": collections.deque([lambda x=[LOCK]: x])}]), ".layers[0]['q'][0].__defaults__[0][0]"),
]


@pytest.mark.parametrize(("obj", "path"), PARTS, ids=[f"{type(obj).__name__} {path}" for obj, path in PARTS])
def test_what_cannot_be_pickled_is_named_by_its_path(obj: Any, path: str) -> None:
    with pytest.raises(SerializationError) as caught:
        registry.dump(obj)
    assert caught.value.path == path
    assert f"object{path}" in str(caught.value) or not path


def test_an_attribute_of_a_class_that_goes_by_value_is_named() -> None:
    class Local:
        lock = LOCK

    with pytest.raises(SerializationError) as caught:
        registry.dump([Local()])
    assert caught.value.path == "[0].__class__.lock"


def test_the_path_leads_into_closures() -> None:
    lock = LOCK
    with pytest.raises(SerializationError) as caught:
        registry.dump([lambda: lock])
    assert caught.value.path == "[0].__closure__['lock']"


def test_a_ring_with_something_that_cannot_be_pickled_ends() -> None:
    ring: list[Any] = [LOCK]
    ring.insert(0, ring)
    with pytest.raises(SerializationError) as caught:
        registry.dump(ring)
    assert caught.value.path == "[1]"


@pytest.mark.parametrize("beside", [None, lambda: 1], ids=["alone", "a lambda"])
def test_what_is_nested_too_deeply_is_said_to_be_so_without_a_path(beside: Any) -> None:
    deep: list[Any] = [LOCK]
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(SerializationError, match=r"nested too deeply for pickle .*; store it flat") as caught:
        registry.dump([beside, deep])
    assert caught.value.path == ""
    assert len(str(caught.value)) < 400


def test_a_long_path_is_shown_by_its_two_ends() -> None:
    obj: Any = {"last": LOCK}
    for level in range(100):
        obj = {f"level {level}": obj}
    with pytest.raises(SerializationError) as caught:
        registry.dump(obj)
    assert caught.value.path.startswith("['level 99']['level 98']")
    assert caught.value.path.endswith("['level 0']['last']")
    assert len(caught.value.path) < 500


def test_a_key_without_a_repr_is_named_by_its_type() -> None:
    with pytest.raises(SerializationError) as caught:
        registry.dump({Silent(): LOCK})
    assert caught.value.path == "[<Silent>]"
