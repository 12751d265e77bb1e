"""Which objects are taken for small: never a large one, never one that could run code."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest

from fastdatastore.store.put.smallness import is_small


class Eager:
    """Nobody may ask it anything."""

    def __getattribute__(self, name: str) -> Any:
        raise AssertionError(name)


class List(list[int]):
    pass


LOOP: list[Any] = []
LOOP.append(LOOP)


@pytest.mark.parametrize(
    "obj",
    [
        None,
        True,
        10**1000,
        1.5,
        "text",
        b"bytes",
        [1, (2, {3, frozenset({4})}), {"a": {"b": "c"}}],
        np.zeros((10, 10)),
        np.float64(1.5),
        {"a": np.zeros(3, dtype="M8[s]")},
    ],
    ids=repr,
)
def test_plain_data_is_small(obj: object) -> None:
    assert is_small(obj)


@pytest.mark.parametrize(
    "obj",
    [
        "x" * (1 << 17),
        ["x" * 1000] * 100,
        list(range(2000)),
        {n: n for n in range(600)},
        LOOP,
        1 << (1 << 20),
        np.zeros(10_000),
        np.array([{}, None]),
        [Eager()],
        List(),
        sys,
        np.sum,
        np.dtype("f8"),
        np.ma.zeros(3),
    ],
    ids=lambda obj: type(obj).__name__,
)
def test_what_is_large_or_not_known_is_not(obj: object) -> None:
    assert not is_small(obj)
