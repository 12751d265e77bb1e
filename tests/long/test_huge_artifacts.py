"""Objects of more bytes than 31 and than 32 bits count go into a store and come back, in bounded memory."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from fastdatastore import ArtifactStore
from fastdatastore.config import GIB, MIB
from fastdatastore.testing.servers import seaweedfs

pytestmark = [
    pytest.mark.long,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(sys.platform != "linux", reason="peaks of memory are read from /proc"),
]

BUCKET = "artifacts"
CEILING = 512 * MIB
# What a put or a get takes beyond the object: the ceiling, and what interpreter, threads and allocators take.
BEYOND = CEILING + 256 * MIB
SIZES = (2_200_000_000, 4_400_000_000)

_PROGRAM = """
import json, os, sys
import blake3, numpy
from fastdatastore import ArtifactStore

def make(kind, size):
    if kind == "array":
        array = numpy.empty((size // 8 // 1000, 1000))
        numpy.random.default_rng(7).random(out=array)
        return array
    if kind == "bytes in a dict":
        return {"payload": os.urandom(size), "name": "payload"}
    return [{"path": ("a", i), "part": os.urandom(10_000), "next": [{"empty": b""}]} for i in range(size // 10_000)]

def digest(value, into=None):
    into = blake3.blake3() if into is None else into
    into.update(type(value).__name__.encode())
    if isinstance(value, numpy.ndarray):
        into.update(repr((value.shape, value.dtype, value.flags.writeable)).encode())
        into.update(value.reshape(-1).view("u1").data)
    elif isinstance(value, dict):
        for name, part in value.items():
            digest(name, into), digest(part, into)
    elif isinstance(value, (list, tuple)):
        for part in value:
            digest(part, into)
    else:
        into.update(value if isinstance(value, bytes) else repr(value).encode())
    return into.hexdigest()

def memory(name):
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) << 10 for line in status if line.startswith(name + ":"))

url, kind, size, ref = sys.argv[1:]
with ArtifactStore(url) as store:
    obj = None if ref else make(kind, int(size))
    before = memory("VmRSS")
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")  # the peak starts from here
    if ref:
        obj = store.get(ref)
    else:
        ref = store.put(obj)
    print(json.dumps({"ref": ref, "took": memory("VmHWM") - before, "digest": digest(obj)}))
"""


@dataclass(frozen=True)
class Place:
    """Where a store is."""

    url: str
    variables: dict[str, str]

    def run(self, kind: str, size: int, ref: str = "") -> dict[str, Any]:
        """Puts an object or, with a ref, gets it, in a process of its own."""
        done = subprocess.run(
            [sys.executable, "-c", _PROGRAM, self.url, kind, str(size), ref],
            env={**os.environ, **self.variables, "FDS_MEMORY_CEILING": str(CEILING)},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found


@pytest.fixture(params=["file", "seaweedfs"])
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """What is in it goes with the test."""
    if shutil.disk_usage(tmp_path).free < (needed := 3 * max(SIZES)):
        pytest.skip(f"it needs {needed / GIB:.0f} GiB of disk under {tmp_path}; take another by --basetemp")
    if request.param == "file":
        yield Place(f"file://{tmp_path}/store", {})
    else:
        if (why := seaweedfs.why_unavailable()) is not None:
            pytest.skip(why)
        with seaweedfs.start(buckets=[BUCKET], workdir=tmp_path) as server:
            for name, value in server.env().items():
                monkeypatch.setenv(name, value)
            yield Place(f"s3://{BUCKET}/store", dict(server.env()))
    shutil.rmtree(tmp_path)


def available_memory() -> int:
    """Bytes that processes can have without others being harmed."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable:"))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    ("kind", "copies"),
    [
        ("array", 1),  # over the memory that it was received in
        ("bytes in a dict", 2),  # the pickle, and what it makes
        ("many small ones", 2),
    ],
)
def test_it_comes_back_equal_in_bounded_memory(kind: str, copies: int, size: int, place: Place) -> None:
    if available_memory() < (needed := copies * size + 2 * GIB):
        pytest.skip(f"it needs {needed / GIB:.0f} GiB of free memory")
    put = place.run(kind, size)
    got = place.run(kind, size, put["ref"])
    beyond = got["took"] - copies * size
    print(f"{kind}, {size / 1e9} GB: beyond it put took {put['took'] / MIB:,.0f} MiB, get {beyond / MIB:,.0f} MiB")
    assert got["digest"] == put["digest"]
    assert put["took"] < BEYOND
    # Small objects have headers of their own: an eighth is more than what those of 10,000 bytes take.
    assert beyond < BEYOND + (size // 8 if kind == "many small ones" else 0)
    with ArtifactStore(place.url) as store:
        assert list(store.verify([put["ref"]])) == []
