"""A process that runs out of descriptors goes on with what it has, or says what it lacks: faults 19 and 20."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.faulty import LARGE, Place

pytest.importorskip("resource")
_ROOT = Path(__file__).resolve().parents[2]

# The limit is the child's: a test process with few descriptors could not even report.
_CHILD = """
import os, resource, sys
from fastdatastore import errors
from fastdatastore.engine import process
from tests.support.clients import client_at

url, bucket, spare = sys.argv[1], sys.argv[2], int(sys.argv[3])
client = client_at(url)
process.plane(client.remote.plane, client.settings)
free = os.dup(0)
os.close(free)
resource.setrlimit(resource.RLIMIT_NOFILE, (free + spare, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
try:
    sys.stdout.buffer.write(client.run_one(client.get(bucket, "large")).content)
except errors.FastDatastoreError as error:
    print(type(error).__name__, error, file=sys.stderr)
"""


def _run_with(spare: int, place: Place) -> tuple[bytes, str]:
    """What the child got, and said, with `spare` descriptors left; a call takes one of them to wait for its reports."""
    command = [sys.executable, "-c", _CHILD, place.server.url, place.bucket, str(spare)]
    done = subprocess.run(command, cwd=_ROOT, capture_output=True, check=True, timeout=120)
    return done.stdout, done.stderr.decode()


@pytest.mark.fault(19)
@pytest.mark.parametrize("connections", [1, 2, 3])
def test_few_descriptors_mean_few_connections(null_place: Place, connections: int) -> None:
    assert _run_with(1 + connections, null_place) == (LARGE, "")


@pytest.mark.fault(19)
@pytest.mark.parametrize(("spare", "error"), [(0, "ConfigurationError"), (1, "ConnectError")])
def test_no_descriptor_at_all_is_an_error_that_says_so(null_place: Place, spare: int, error: str) -> None:
    got, said = _run_with(spare, null_place)
    assert (got, said.split(" ")[0]) == (b"", error)
    assert "Too many open files; raise the limit of open files (ulimit -n)" in said
