"""The objects of the golden store, golden/store-1: one for each thing that the format and the serializers can do.

`python -m tests.store.golden_objects DIRECTORY` writes such a store. That was done once, by the release that first had
format 1; every later release must read what was written then, and give the same refs.
"""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from fastdatastore import ArtifactStore

MIB = 1 << 20
NOISE = random.Random(41).randbytes(80_000)


def objects() -> dict[str, Any]:
    """By the names of their tags."""
    frame = pd.DataFrame(
        {
            "number": np.arange(1000, dtype="<i8"),
            "value": np.arange(1000, dtype="<f8") / 4,
            "text": pd.Series([None if n % 10 == 0 else f"row {n}" for n in range(1000)], dtype=object),
            "kind": pd.Categorical.from_codes(np.arange(1000, dtype="i1") % 3, ["a", "b", "c"]),
            "maybe": pd.array([None if n % 5 == 0 else n for n in range(1000)], dtype="Int16"),
        }
    )
    table = pa.table(
        {
            "id": pa.array(range(500), pa.int32()),
            "words": pa.array([f"word {n % 9}" for n in range(500)]).dictionary_encode(),
            "nested": pa.array([{"x": n, "y": [n, n + 1]} for n in range(500)]),
        }
    )
    return {
        "raw/empty": b"",
        "raw/bytes": b"some bytes\x00\xff",
        "raw/bytearray": bytearray(b"abc"),
        "raw/memoryview": np.arange(6, dtype="<u2").reshape(2, 3).data,
        "raw/noise": NOISE[:30_000],
        "raw/zeros of several chunks": bytes(37 * MIB),
        "numpy/scalar": np.array(7.5),
        "numpy/fortran": np.asfortranarray(np.arange(12, dtype="<f4").reshape(3, 4)),
        "numpy/big-endian": np.arange(5, dtype=">i2"),
        "numpy/structured": np.array([(1, 2.5), (3, 4.5)], dtype=[("a", "<i4"), ("b", "<f8")]),
        "numpy/times": np.array(["2024-02-29", "NaT"], dtype="<M8[ns]"),
        "numpy/shuffled": np.arange(300_000, dtype="<f8"),
        "arrow/table": table,
        "arrow/batch": table.slice(0, 10).combine_chunks().to_batches()[0],
        "pandas/frame": frame,
        "pandas/series": frame["value"].rename("v"),
        "pandas/levels": frame.iloc[:6, :2].set_index(pd.MultiIndex.from_product([[1, 2], ["x", "y", "z"]])),
        "pickle/dict": {"epochs": 7, "rate": 1e-3, "tags": {"red", "green"}, "layers": [64, 64], "name": "ünï"},
        "pickle/None": None,
        "pickle/text": "line\n" * 300_000,
        "pickle5/arrays": {"zeros": np.zeros((400, 400)), "noise": np.frombuffer(NOISE, "u1"), "bias": [1, 2]},
    }


def main(directory: Path) -> None:
    """Writes the store, and beside it its refs by name."""
    # A level, so that what is compressed does not depend on how fast this machine is.
    store = ArtifactStore(directory.absolute().as_uri(), compression=3)
    refs = {}
    for name, obj in objects().items():
        refs[name] = store.put(obj)
        store.tag(name, refs[name])
    directory.with_suffix(".json").write_text(json.dumps(refs, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
