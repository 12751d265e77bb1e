"""A store that was written by the first release of format 1 stays readable for ever, and its refs the same."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from fastdatastore import ArtifactStore
from fastdatastore.store import frame, manifest_object, ref
from fastdatastore.store.frame import Codec
from tests.store.golden_objects import objects
from tests.store.test_store import same

GOLDEN = Path(__file__).parent / "golden" / "store-1"
REFS: dict[str, str] = json.loads(GOLDEN.with_suffix(".json").read_text(encoding="utf-8"))
OBJECTS = objects()


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    """A copy: the original must not change."""
    shutil.copytree(GOLDEN, tmp_path / "store")
    return ArtifactStore((tmp_path / "store").as_uri())


def test_it_holds_what_it_should(store: ArtifactStore) -> None:
    assert store.tags() == REFS
    assert REFS.keys() == OBJECTS.keys()
    assert {entry.ref for entry in store.list()} == set(REFS.values())


@pytest.mark.parametrize("name", REFS)
def test_every_object_comes_back(store: ArtifactStore, name: str) -> None:
    found = store.get(REFS[name])
    assert is_same(found, OBJECTS[name])
    assert is_same(store.get(store.resolve(name), readonly=True), OBJECTS[name])


def is_same(one: Any, other: Any) -> bool:
    if isinstance(other, np.ndarray) and other.dtype.kind == "M":
        return one.dtype == other.dtype and bool((one.view("i8") == other.view("i8")).all())
    if isinstance(other, pa.RecordBatch):
        return bool(one.equals(other, check_metadata=True))
    return same(one, other)


@pytest.mark.parametrize("name", REFS)
def test_the_same_object_has_the_same_ref(store: ArtifactStore, name: str) -> None:
    assert store.prepare(OBJECTS[name]).ref == REFS[name]
    assert store.prepare(store.get(REFS[name])).ref == REFS[name]


def test_in_another_process_refs_are_the_same() -> None:
    """Hash seeds, on which the order of a set depends, and all else that a process has of its own."""
    program = (
        "import json; from fastdatastore.store.put.outline import prepare; "
        "from tests.store.golden_objects import objects; "
        "print(json.dumps({name: prepare(obj).ref for name, obj in objects().items()}))"
    )
    for seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed},
            cwd=Path(__file__).parents[2],
            capture_output=True,
            text=True,
            check=True,
            timeout=100,
        )
        assert json.loads(done.stdout) == REFS


def test_stat_knows_every_artifact(store: ArtifactStore) -> None:
    types = {name: store.stat(ref).type for name, ref in REFS.items()}
    assert types["raw/noise"] == "bytes"
    assert types["numpy/structured"] == "numpy.ndarray"
    assert types["arrow/batch"] == "pyarrow.RecordBatch"
    assert types["pandas/levels"] == "pandas.DataFrame"
    assert types["pickle/None"] == "NoneType"
    assert types["pickle5/arrays"] == "dict"
    schema = store.stat(REFS["pandas/frame"]).schema
    assert schema is not None
    assert dict(schema)["maybe"] == "Int16"


def test_it_has_chunks_of_every_kind() -> None:
    codecs: Counter[Codec] = Counter()
    inline = 0
    for path in (GOLDEN / "artifacts").rglob("*"):
        if path.is_file():
            stored = manifest_object.decode(path.read_bytes(), ref.of(path.name))
            if stored.inline is not None:
                inline += 1
                continue
            for segment in stored.manifest.segments:
                for chunk in segment.chunks:
                    data = (GOLDEN / ref.chunk_name(chunk.digest)).read_bytes()
                    codecs[frame.decode(data, chunk.digest, chunk.length).codec] += 1
    assert codecs.keys() == set(Codec)
    assert inline >= 10
