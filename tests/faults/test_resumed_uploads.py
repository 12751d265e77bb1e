"""Fault 50: a process is killed in the middle of an upload. What it has sent is not sent again, nothing is mixed up."""

from __future__ import annotations

import hashlib
import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fastdatastore import errors
from fastdatastore.config import MIB
from fastdatastore.engine import plan
from fastdatastore.engine.endpoints import Limits
from fastdatastore.engine.put.resume import part_size_of
from fastdatastore.engine.uploads import AbortJob, ListUploadsJob, StoredPart
from fastdatastore.testing.faults import Reset, Stall, answers
from tests.support.faulty import LARGE, PART, Way

PARTS = -(-len(LARGE) // PART)
FIRST = 4  # parts that are there when the process is killed

UPLOAD = """
import sys
from fastdatastore import S3
root, key, path = sys.argv[1:]
with S3(s3root=root) as s3, open(path, "rb") as file:
    s3.put(key, file)
"""


def parts_sent(way: Way) -> int:
    return sum(passed.operation == "UploadPart" and passed.status == 200 for passed in way.proxy.log)


def kill_in_the_middle(way: Way, path: Path, part_size: int = PART) -> None:
    """Uploads the file to `new` in another process, and kills that one when some parts are there."""
    way.proxy.add(Stall(at=0, seconds=None, direction="request", operation="UploadPart", nth=range(FIRST + 1, 1000)))
    variables = way.place.server.env() | {
        "AWS_ENDPOINT_URL": way.proxy.url,
        "FDS_PART_SIZE": str(part_size),
        "FDS_STALL_TIMEOUT": "60",
    }
    root = f"s3://{way.place.bucket}"
    with subprocess.Popen(
        [sys.executable, "-c", UPLOAD, root, way.new, str(path)], env=dict(os.environ) | variables
    ) as child:
        deadline = time.monotonic() + 60
        while parts_sent(way) < FIRST and time.monotonic() < deadline and child.poll() is None:
            time.sleep(0.02)
        child.send_signal(signal.SIGKILL)
    assert child.returncode == -signal.SIGKILL
    assert parts_sent(way) == FIRST
    assert way.stored() is None
    assert len(way.uploads()) == 1
    way.proxy.drop_connections()
    way.proxy.clear()


@pytest.mark.fault(50)
def test_an_upload_that_was_killed_is_resumed_and_only_what_is_missing_is_sent(way: Way, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(LARGE)
    kill_in_the_middle(way, path)
    client = way.client()
    job = client.run_one(client.put(way.place.bucket, way.new, path, resume=True))
    assert job.resumed == FIRST
    assert parts_sent(way) == PARTS - FIRST
    assert way.stored() == LARGE
    assert way.uploads() == []
    assert job.moved == job.size == len(LARGE)


def test_what_was_resumed_can_be_verified_when_it_is_read(way: Way, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(LARGE)
    kill_in_the_middle(way, path)
    client = way.client()
    job = client.run_one(client.put(way.place.bucket, way.new, path, resume=True))
    read = client.run_one(client.get(way.place.bucket, way.new))
    assert bytes(read.content) == LARGE
    if way.place.server.name != "moto":  # which forgets the checksums of parts
        assert read.verified_by.startswith("crc64nvme")
        assert job.verified_by in ("crc64nvme", "sha256")


def test_an_upload_is_resumed_with_the_part_size_that_it_was_begun_with(way: Way, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(LARGE)
    kill_in_the_middle(way, path, part_size=6 * MIB)
    client = way.client()
    client.run_one(client.put(way.place.bucket, way.new, path, resume=True))
    assert parts_sent(way) == -(-len(LARGE) // (6 * MIB)) - FIRST
    assert way.stored() == LARGE


@pytest.mark.parametrize("where", [0, len(LARGE) - 1], ids=["what was sent", "what was not"])
def test_a_source_that_has_changed_since_is_stored_as_it_is_now(way: Way, tmp_path: Path, where: int) -> None:
    path = tmp_path / "file"
    path.write_bytes(LARGE)
    kill_in_the_middle(way, path)
    changed = bytearray(LARGE)
    changed[where] ^= 1
    now = bytes(changed)
    path.write_bytes(now)
    client = way.client()
    client.run_one(client.put(way.place.bucket, way.new, path, resume=True))
    assert way.stored() == now
    assert bytes(client.run_one(client.get(way.place.bucket, way.new)).content) == now
    assert way.uploads() == []


@pytest.mark.parametrize("content", [LARGE[::-1], LARGE[: 3 * PART]], ids=["other bytes", "another size"])
def test_an_upload_of_something_else_is_left_alone(way: Way, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(LARGE)
    kill_in_the_middle(way, path)
    others = way.uploads()
    client = way.client()
    job = client.run_one(client.put(way.place.bucket, way.new, content, resume=True))
    assert job.resumed == 0
    assert way.stored() == content
    assert way.uploads() == others


def test_with_nothing_to_resume_all_is_sent(way: Way) -> None:
    client = way.client()
    job = client.run_one(client.put(way.place.bucket, way.new, LARGE, resume=True))
    assert job.resumed == 0
    assert way.stored() == LARGE
    assert way.uploads() == []


def test_an_upload_that_lost_its_connection_can_be_resumed(way: Way) -> None:
    way.proxy.add(Reset(at=0, direction="request", operation="UploadPart", nth=range(FIRST + 1, 1000)))
    client = way.client(attempts=2, parts_in_flight=1)
    with pytest.raises(errors.ConnectionLost):
        client.run_one(client.put(way.place.bucket, way.new, LARGE, resume=True))
    assert len(way.uploads()) == 1
    way.proxy.clear()
    job = client.run_one(client.put(way.place.bucket, way.new, LARGE, resume=True))
    assert job.resumed == FIRST
    assert parts_sent(way) == -(-len(LARGE) // plan.in_whole_rounds(len(LARGE), PART, 1)) - FIRST
    assert way.stored() == LARGE
    assert way.uploads() == []


def test_a_resumed_upload_that_is_refused_is_aborted(way: Way) -> None:
    way.proxy.add(answers.error(400, "InvalidPart", operation="UploadPart", nth=2))
    client = way.client()
    with pytest.raises(errors.InvalidRequest):
        client.run_one(client.put(way.place.bucket, way.new, LARGE, resume=True))
    assert way.uploads() == []


@pytest.mark.fault(51)
def test_an_upload_whose_abort_failed_is_found_and_ended_later(way: Way) -> None:  # 51
    client = way.client()
    client.run_one(client.put(way.place.bucket, f"before-{way.new}", LARGE[:1]))  # what the server can do is known now
    way.proxy.add(
        answers.error(400, "InvalidPart", operation="UploadPart", nth=2),
        answers.error(403, "AccessDenied", operation="AbortMultipartUpload"),
    )
    with pytest.raises(errors.InvalidRequest) as raised:
        client.run_one(client.put(way.place.bucket, way.new, LARGE))
    assert len(way.uploads()) == 1
    (note,) = pickle.loads(pickle.dumps(raised.value)).__notes__
    assert f"fds sweep s3://{way.place.bucket}/{way.new} ends it" in note
    assert "HTTP 403 AccessDenied" in note
    way.proxy.clear()
    left = client.run_one(ListUploadsJob(way.place.bucket, way.new)).uploads
    assert [upload.key for upload in left] == [way.new]
    client.run_one(AbortJob(way.place.bucket, way.new, left[0].upload_id))
    assert way.uploads() == []


def test_credentials_that_may_not_abort_can_upload_all_the_same(way: Way) -> None:
    way.proxy.add(answers.error(403, "AccessDenied", operation="AbortMultipartUpload"))
    way.put(LARGE)
    assert way.stored() == LARGE


# ---- which part size an upload was cut by ----


def stored(*sizes: tuple[int, int]) -> list[StoredPart]:
    return [StoredPart(number, size, hashlib.md5(b"").hexdigest(), None) for number, size in sizes]


@pytest.mark.parametrize(
    ("parts", "wanted"),
    [
        ([(1, 6 * MIB)], 6 * MIB),
        ([(2, 6 * MIB), (4, 2 * MIB)], 6 * MIB),
        ([(4, 5 * MIB)], 5 * MIB),
        ([(3, 4 * MIB)], 8 * MIB),  # the last one of a cut by the part size of today
        ([(1, 6 * MIB), (2, 5 * MIB)], None),
        ([(5, 6 * MIB)], None),
        ([(1, 3 * MIB)], None),
        ([(0, 6 * MIB)], None),
        ([], None),
    ],
)
def test_the_part_size_is_told_from_the_parts(parts: list[tuple[int, int]], wanted: int | None) -> None:
    assert part_size_of(stored(*parts), 20 * MIB, 8 * MIB, Limits()) == wanted


def test_a_part_size_that_makes_too_many_parts_is_another_sources() -> None:
    size = 5 * MIB * (plan.MAX_PARTS + 1)
    assert part_size_of(stored((1, 5 * MIB)), size, 8 * MIB, Limits()) is None
