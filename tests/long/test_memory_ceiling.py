"""Far more bytes than the memory ceiling pass through a process whose peak stays near it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from fastdatastore.config import MIB
from fastdatastore.testing.servers import null

pytestmark = [pytest.mark.long, pytest.mark.timeout(1800)]

CEILING = 256 * MIB
# Below it are, together, results, what is on the way, and free memory that is kept for the next (engine/tickets.py).
# Beside it: the interpreter with our modules and botocore's (42 MiB), the small bodies that come with their heads, and
# what malloc keeps of all that.
BESIDE = 96 * MIB

_PROGRAM = """
import sys
from fastdatastore import S3
from fastdatastore.bench.measure import peak_rss_bytes
from fastdatastore.config import MIB
from fastdatastore.engine.client import Client

what, tmproot = sys.argv[1:]
client = Client()
moved = 0
if what == "drawn one by one":
    jobs = (client.get("bucket", f"{i}.{8 * MIB + i}") for i in range(2400))
    for job in client.run(jobs):
        assert job.error is None and job.verified_by == "crc64nvme", job.error
        moved += job.content.nbytes
        del job
elif what == "large ones, drawn one by one":
    jobs = (client.get("bucket", f"{i}.{100 * MIB + i}") for i in range(200))
    for job in client.run(jobs):
        assert job.error is None and job.verified_by == "crc64nvme", job.error
        moved += job.content.nbytes
        del job
else:
    for batch in range(5):
        with S3(tmproot, s3root="s3://bucket") as s3:
            for found in s3.get_many([f"{batch}-{i}.{16 * MIB + i}" for i in range(256)]):
                assert found.verified_by == "crc64nvme"
                moved += found.size
print(moved, peak_rss_bytes())
"""


@pytest.mark.parametrize("what", ["drawn one by one", "large ones, drawn one by one", "in lists, as files"])
def test_twenty_gigabytes_pass_through_a_small_ceiling(what: str, tmp_path: Path) -> None:
    with null.start(mode="fixed") as server:
        done = subprocess.run(
            [sys.executable, "-c", _PROGRAM, what, str(tmp_path)],
            env={**os.environ, **server.env(), "FDS_MEMORY_CEILING": str(CEILING)},
            capture_output=True,
            text=True,
        )
    assert done.returncode == 0, done.stderr
    moved, peak = map(int, done.stdout.split())
    print(f"{what}: {moved / 1e9:.1f} GB, peak {peak / MIB:,.0f} MiB resident under a ceiling of {CEILING // MIB} MiB")
    assert moved > 20e9
    assert peak < CEILING + BESIDE
    assert list(tmp_path.iterdir()) == []
