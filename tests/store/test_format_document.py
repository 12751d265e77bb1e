"""docs/format.md says enough to read a store: the reader in it does, knowing nothing of our code."""

from __future__ import annotations

import random
import re
from pathlib import Path
from typing import Any

import pytest

from fastdatastore.store import frame, manifest, manifest_object, ref
from fastdatastore.store.chunking import FDS_1
from fastdatastore.store.digest import digest
from fastdatastore.store.frame import Codec, Frame
from fastdatastore.store.layout import lay_out
from fastdatastore.store.portable_chunker import gear
from tests.store.formats import GOLDEN, Spec, inline_object, manifest_of

DOCUMENT = (Path(__file__).parents[2] / "docs" / "format.md").read_text()


def write(root: Path, name: str, *pieces: Any) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(map(bytes, pieces)))


@pytest.fixture
def read_artifact() -> Any:
    code = "\n".join(re.findall(r"^```python\n(.*?)^```$", DOCUMENT, re.MULTILINE | re.DOTALL))
    names: dict[str, Any] = {}
    exec(compile(code, "format.md", "exec"), names)
    return names["read_artifact"]


def test_its_reader_reads_an_artifact_of_chunks(read_artifact: Any, tmp_path: Path) -> None:
    data = random.Random(3).randbytes(20 << 20)
    layout = lay_out([Spec(memoryview(b"small")), Spec(memoryview(data), 64, 8)])
    made = manifest_of(layout, {"shape": [20 << 17]})
    logical = manifest.encode(made)
    artifact = ref.of(digest(logical))
    for segment, stored in zip(layout.segments, made.segments, strict=True):
        position = 0
        for name, length in stored.chunks:
            header = frame.encode(Frame(Codec.RAW, 0, length, length), name)
            write(tmp_path, ref.chunk_name(name), header, segment.read(position, length))
            position += length
    write(tmp_path, ref.artifact_name(digest(logical)), *manifest_object.encode(logical))
    found, segments = read_artifact(tmp_path, artifact)
    assert segments == [b"small", data]
    assert len(made.segments[1].chunks) > 1
    assert found["header"] == {"shape": [20 << 17]}


def test_its_reader_reads_an_inline_artifact(read_artifact: Any, tmp_path: Path) -> None:
    artifact, data = inline_object([Spec(memoryview(b"one")), Spec(memoryview(b"two"), 4)])
    write(tmp_path, ref.artifact_name(ref.digest_of(artifact)), data)
    assert read_artifact(tmp_path, artifact)[1] == [b"one\0two"]


def test_its_figures_are_those_of_the_code() -> None:
    stored = (GOLDEN / "store.json").read_text().replace("0123456789abcdef" * 2, "<32>")
    assert stored in DOCUMENT
    assert f"G[0] = 0x{gear()[0]:016x}, G[255] = 0x{gear()[255]:016x}" in DOCUMENT
    assert f"≥ {FDS_1.minimum:,} and the highest {FDS_1.bits} bits" in DOCUMENT
    assert f"= {FDS_1.maximum:,}; then" in DOCUMENT
    assert f"32 bytes + {(manifest_object.MAX_SIZE - 32) >> 20} MiB" in DOCUMENT
    assert (manifest.MAX_SIZE, manifest.MAX_BUFFERS, manifest.MAX_CHUNKS) == (2**26, 2**20, 2**19)
    assert manifest.MAX_WEIGHT == 2**23
