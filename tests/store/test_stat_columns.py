"""The schema of a table is known without its data, wherever the names of its columns lie."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from fastdatastore import ArtifactStore

NAMES = [f"column {at}" for at in range(40)]


def frame(rows: int, columns: int = 10) -> Any:
    rng = np.random.default_rng(7)
    return pd.DataFrame({name: rng.random(rows) for name in NAMES[:columns]})


def texts(rows: int) -> Any:
    return pd.DataFrame({"text": [f"row {at}" for at in range(rows)], "object": pd.Series(["x"] * rows, dtype=object)})


TABLES = {
    "a tiny frame": lambda: frame(3),
    "small columns": lambda: frame(20_000),
    "small columns of several chunks": lambda: frame(120_000, 20),
    "large columns": lambda: frame(200_000, 3),
    "more small columns than are read": lambda: frame(120_000, 40),
    "no rows": lambda: frame(0),
    "text": lambda: texts(60_000),
    "labels of two levels": lambda: frame(20_000).set_axis(pd.MultiIndex.from_product([["a", "b"], range(5)]), axis=1),
    "categorical labels": lambda: frame(20_000).set_axis(pd.CategoricalIndex(NAMES[:10]), axis=1),
    "numbers as labels": lambda: frame(20_000).set_axis(np.arange(10) * 3, axis=1),
    "objects as labels": lambda: frame(20_000).set_axis(pd.Index(NAMES[:10], dtype=object), axis=1),
}


@pytest.mark.parametrize("what", TABLES)
def test_the_schema_of_a_frame_is_known(tmp_path: Path, what: str) -> None:
    store, obj = ArtifactStore(tmp_path.as_uri(), compression="none"), TABLES[what]()
    schema = store.stat(store.put(obj)).schema
    assert schema is not None
    assert [name for name, _ in schema] == [str(label) for label in obj.columns]
    assert [kind for _, kind in schema] == [str(dtype).replace("str", "string") for dtype in obj.dtypes]


@pytest.mark.parametrize("what", [what for what in TABLES if "labels" not in what])
def test_the_schema_of_a_table_is_known(tmp_path: Path, what: str) -> None:
    store, obj = ArtifactStore(tmp_path.as_uri(), compression="none"), pa.Table.from_pandas(TABLES[what]())
    schema = store.stat(store.put(obj)).schema
    assert schema == tuple((field.name, str(field.type)) for field in obj.schema)


def test_no_chunk_is_read_but_that_with_the_names(tmp_path: Path) -> None:
    store, obj = ArtifactStore(tmp_path.as_uri(), compression="none"), frame(120_000, 40)
    ref = store.put(obj)
    chunks = sorted(
        (path for path in (tmp_path / "chunks").rglob("*") if path.is_file()), key=lambda p: p.stat().st_size
    )
    with_names = [path for path in chunks if b"column 39" in path.read_bytes()]
    assert len(with_names) == 1
    for path in chunks:
        if path not in with_names:
            path.write_bytes(bytes(path.stat().st_size))
    found = store.stat(ref)
    assert found.chunks == len(chunks) > 3
    assert found.schema is not None
    assert len(found.schema) == 40
