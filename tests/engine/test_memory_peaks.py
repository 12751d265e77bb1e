"""Far more bytes than the ceiling pass through a process, each way; its memory stays below the ceiling."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from fastdatastore.config import MIB
from fastdatastore.testing.servers import null

pytestmark = [
    pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc"),
    pytest.mark.timeout(300),
]

CEILING = 96 * MIB
# What comes on top: Python's own objects, bodies of small objects, stacks and buffers of connections.
BESIDES = 32 * MIB

_PROGRAM = """
import os, sys, threading, time
from pathlib import Path
from fastdatastore import S3
from fastdatastore.config import MIB
from fastdatastore.engine import process

what, directory, sink = sys.argv[1], Path(sys.argv[2]), sys.argv[3]

def resident():
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024

def get_many(s3, _, name):
    assert sum(found.size for found in s3.get_many([f"{name}{i}.{20 * MIB + i}" for i in range(24)])) > 480 * MIB

def put_files(_, s3, name):
    paths = []
    for i in range(30):
        paths.append((f"{name}-{i}", directory / f"{name}-{i}"))
        with open(paths[-1][1], "wb") as file:
            file.truncate(16 * MIB)
    s3.put_files(paths)

def put_stream(_, s3, name):
    s3.put_stream(name, (bytes(MIB) for _ in range(480)))

def iter_many(s3, _, name):
    assert sum(found.size for found in s3.iter_many([f"{name}{i}.{20 * MIB + i}" for i in range(24)])) > 480 * MIB

def in_eight_threads(down, up, name):
    verbs = [get_many, put_files, iter_many, put_files] * 2
    threads = [threading.Thread(target=verb, args=(down, up, f"{name}{n}")) for n, verb in enumerate(verbs)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

down = S3(str(directory), s3root="s3://bucket")
os.environ["AWS_ENDPOINT_URL_S3"] = sink
with down, S3(str(directory), s3root="s3://bucket") as up:
    down.get(f"warm.{MIB}")
    up.put("warm", b"warm")
    before = peak = resident()
    over = threading.Event()
    def sample():
        global peak
        while not over.wait(0.002):
            peak = max(peak, resident())
    sampler = threading.Thread(target=sample)
    sampler.start()
    began = time.monotonic()
    globals()[what](down, up, "k")
    print(f"{time.monotonic() - began:.2f} s", file=sys.stderr)
    over.set()
    sampler.join()
    tickets = process.tickets(up._client.settings)
    print(peak - before, tickets.in_flight, tickets.results.held, tickets.pool.state()["free_bytes"])
    print(tickets, file=sys.stderr)
"""


@pytest.mark.parametrize("what", ["get_many", "put_files", "put_stream", "iter_many", "in_eight_threads"])
def test_memory_stays_below_the_ceiling(what: str, tmp_path: Path) -> None:
    with null.start(mode="fixed") as server, null.start(mode="sink") as sink:
        done = subprocess.run(
            [sys.executable, "-c", _PROGRAM, what, str(tmp_path), sink.url],
            env={**os.environ, **server.env(), "FDS_MEMORY_CEILING": str(CEILING)},
            capture_output=True,
            text=True,
        )
    assert done.returncode == 0, done.stderr
    peak, in_flight, results, free = map(int, done.stdout.split())
    print(f"{what}: {peak / MIB:,.0f} MiB resident, {done.stderr.strip()}")
    assert peak < CEILING + BESIDES
    assert (in_flight, results) == (0, 0)
    assert free <= CEILING
