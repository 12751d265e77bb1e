"""The objects that are kept. Imported by the parent and, in its own environment, by each rival's process.

The same seed gives the same object in every process, so what comes back is compared with one that is made anew.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

MIB, GIB = 1 << 20, 1 << 30
SMALL = "dicts"


@dataclass(frozen=True)
class Objects:
    """What is put, or comes back, in one go.

    Attributes:
        kind: A key of `KINDS`.
        size: Bytes in memory, about; of `dicts` how many there are.
        seed: Another one gives others, which no store has yet.
    """

    kind: str
    size: int
    seed: int = 1

    def make(self) -> list[Any]:
        """One large object, or many small ones."""
        if self.kind == SMALL:
            return [_record(self.seed, index) for index in range(self.size)]
        return [KINDS[self.kind](np.random.default_rng(self.seed), self.size)]

    def warm_up(self) -> Objects:
        """A few of the same kind and none of them the same: what loads code and opens connections."""
        return Objects(self.kind, max(1, self.size // 64), self.seed + 1)

    def longer(self) -> Objects:
        """The same with a sixty-fourth more of it behind."""
        return Objects(self.kind, self.size + self.size // 64, self.seed)


def nbytes(made: list[Any]) -> int:
    """Bytes that they take in memory; of small dicts, which nobody counts, 0."""
    return sum(map(_nbytes, made))


def same(one: list[Any], other: list[Any]) -> bool:
    """Whether they are equal and of the same types."""
    return len(one) == len(other) and all(map(_same, one, other))


def _array(random: np.random.Generator, size: int) -> Any:
    """float64 of a normal distribution, of which zstd saves 4 %. (Of those evenly in [0, 1) a shuffle saves 14 %.)"""
    return random.standard_normal(size // 8)


def _counters(random: np.random.Generator, size: int) -> Any:
    """int64 that rise in small steps, as ids and times do."""
    return np.cumsum(random.integers(0, 9, size // 8))


def _arrays(random: np.random.Generator, size: int) -> dict[str, Any]:
    """200 float32 matrices: a model's weights."""
    width = 256
    height = max(1, size // 200 // 4 // width)
    return {
        f"layers.{index // 4}.{name}": random.standard_normal((height, width), dtype=np.float32)
        for index, name in enumerate(("query", "key", "value", "out") * 50)
    }


def _frame(random: np.random.Generator, size: int) -> Any:
    """Ints, floats, strings, categories, datetimes."""
    per_row = _nbytes(_rows(random, 1000)) / 1000
    return _rows(random, max(1, int(size / per_row)))


def _rows(random: np.random.Generator, rows: int) -> Any:
    user = random.integers(0, 100_000, rows)
    names = pd.array([f"customer-{number:06}" for number in range(100_000)], dtype="str")
    cities = pd.array([f"city of {number}" for number in range(1000)], dtype="str")
    start = np.datetime64("2026-01-01", "ns")
    return pd.DataFrame(
        {
            "id": np.arange(rows),
            "user": user,
            "clicks": random.poisson(3, rows).astype("int32"),
            "price": random.integers(1, 100_000, rows) / 100,
            "score": random.random(rows),
            "x": random.standard_normal(rows),
            "y": random.standard_normal(rows, dtype=np.float32),
            "returned": random.random(rows) < 0.1,
            "name": names[user],
            "city": cities[random.integers(0, 1000, rows)],
            "country": pd.Categorical.from_codes(random.integers(0, 30, rows), [f"C{code}" for code in range(30)]),
            "device": pd.Categorical.from_codes(random.integers(0, 3, rows), ["phone", "tablet", "desk"]),
            "created": start + np.cumsum(random.integers(0, 10**9, rows)).astype("timedelta64[ns]"),
        }
    )


def _record(seed: int, index: int) -> dict[str, Any]:
    """Some 600 bytes when it is pickled."""
    return {
        "run": f"run-{seed}-{index}",
        "step": index,
        "parameters": {"learning_rate": 1e-3 / (index + 1), "layers": [64, 128, 256], "dropout": None},
        "metrics": {f"loss_{epoch}": 1.0 / (index + epoch + 1) for epoch in range(10)},
        "tags": ["baseline", "nightly", f"seed:{seed}"],
        "note": f"the {index}th of them; " * 5,
    }


KINDS: Mapping[str, Callable[[np.random.Generator, int], Any]] = {
    "array": _array,
    "frame": _frame,
    "arrays": _arrays,
    "counters": _counters,
}


def _nbytes(made: Any) -> int:
    if isinstance(made, np.ndarray):
        return int(made.nbytes)
    if isinstance(made, pd.DataFrame):
        return int(made.memory_usage(deep=True).sum())
    return sum(value.nbytes for value in made.values() if isinstance(value, np.ndarray))


def _same(one: Any, other: Any) -> bool:
    if type(one) is not type(other):
        return False
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and np.array_equal(one, other)
    if isinstance(one, pd.DataFrame):
        return bool(one.dtypes.equals(other.dtypes) and one.equals(other))
    if isinstance(one, dict):
        return list(one) == list(other) and all(_same(one[name], other[name]) for name in one)
    return bool(one == other)
