"""Streams of unknown length, and files and streams that fail or change while they are read: faults 48, 49, 66."""

from __future__ import annotations

import ctypes
import gc
import io
import os
import random
import threading
import time
from array import array
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fastdatastore import errors
from fastdatastore.config import MIB
from fastdatastore.engine import process
from fastdatastore.engine.client import Client
from fastdatastore.engine.put.upload import Upload
from fastdatastore.testing.faults import Latency, Reset, SwallowReply, answers
from tests.support.clients import client_at
from tests.support.faulty import LARGE, PART, Way
from tests.support.scripted_server import Received, Reply, ScriptedServer

SIZES = (0, 1, PART, 2 * PART - 1, 2 * PART, 2 * PART + 1, 3 * PART, len(LARGE))


def pieces(content: bytes, seed: int = 1) -> Iterator[bytes]:
    """The content in pieces of any size, empty ones among them."""
    generator = random.Random(seed)
    at = 0
    while at < len(content):
        step = generator.choice((0, 1, 1000, MIB, 3 * PART))
        yield content[at : at + step]
        at += step


def put_stream(way: Way, stream: Any, **settings: Any) -> Any:
    client = way.client(**settings)
    return client.run_one(client.put_stream(way.place.bucket, way.new, stream))


def operations(way: Way) -> set[str]:
    return {passed.operation for passed in way.proxy.log}


# ---- streams: 48 ----


@pytest.mark.parametrize("size", SIZES)
def test_an_iterator_of_any_length_is_stored(way: Way, size: int) -> None:
    job = put_stream(way, pieces(LARGE[:size]))
    assert way.stored() == LARGE[:size]
    assert job.size == job.moved == size
    assert operations(way) >= ({"PutObject"} if size < 2 * PART else {"UploadPart", "CompleteMultipartUpload"})
    assert way.uploads() == []


def test_a_pipe_is_stored_as_it_comes(way: Way) -> None:
    reader, writer = os.pipe()

    def write() -> None:
        with os.fdopen(writer, "wb") as file:
            for piece in pieces(LARGE):
                file.write(piece)

    thread = threading.Thread(target=write)
    thread.start()
    with os.fdopen(reader, "rb", buffering=0) as file:
        put_stream(way, file)
        assert not file.closed
    thread.join()
    assert way.stored() == LARGE


def test_a_part_of_a_stream_that_is_lost_is_sent_again(way: Way) -> None:
    way.proxy.add(
        Reset(at=range(PART), direction="request", operation="UploadPart", nth=(1, 3, 5)),
        SwallowReply("reset", operation="UploadPart", nth=(2, 6)),
        answers.internal_error(operation="UploadPart", nth=4),
    )
    put_stream(way, pieces(LARGE))
    assert way.stored() == LARGE
    assert way.uploads() == []


def test_a_stream_is_verified_by_what_the_server_can_do(way: Way) -> None:
    client = way.client()
    job = client.run_one(client.put_stream(way.place.bucket, way.new, pieces(LARGE)))
    read = client.run_one(client.get(way.place.bucket, way.new))
    assert bytes(read.content) == LARGE
    match way.place.server.name:
        case "ceph":  # neither checksums, nor metadata that could be given at the start
            assert (job.verified_by, read.verified_by) == ("sha256", "length")
        case "moto":
            assert job.verified_by == "length"
        case _:
            assert (job.verified_by, read.verified_by) == ("crc64nvme", "crc64nvme")


def test_what_is_kept_of_a_stream_is_bounded() -> None:
    acknowledged = most = 0
    lock = threading.Lock()

    def script(received: Received) -> Reply:
        nonlocal acknowledged
        if "uploads" in received.query:
            return Reply(200, b"<R><UploadId>u1</UploadId></R>")
        if received.method == "POST":
            return Reply(200, b"<R><ETag>&quot;whole&quot;</ETag></R>")
        time.sleep(0.1)  # whoever reads on without bounds reads on
        with lock:
            acknowledged += 1
        return Reply(200, b"", {"etag": '"part"'})

    def counted() -> Iterator[bytes]:
        nonlocal most
        for read in range(10):
            most = max(most, read - acknowledged)
            yield LARGE[:PART]

    with ScriptedServer(script) as server:
        client = client_at(server.url, part_size=PART, memory_ceiling=4 * PART, parts_in_flight=50)
        job = client.run_one(client.put_stream("bucket", "key", counted()))
    assert job.size == acknowledged * PART == 10 * PART
    assert most <= 4


# ---- what the user's object raises: 66 ----


class Mine(Exception):
    """The user's own."""


class FailingFile(io.BytesIO):
    """Its third read fails."""

    def __init__(self, content: bytes, error: BaseException, after: int = 2) -> None:
        super().__init__(content)
        self._error = error
        self._left = after

    def readinto(self, buffer: Any) -> int:
        self._left -= 1
        if self._left < 0:
            raise self._error
        return super().readinto(buffer)


def failing_iterator(error: BaseException) -> Iterator[bytes]:
    yield from (LARGE[:PART], LARGE[:PART], LARGE[: 2 * PART])
    raise error


def failing_job(way: Way, client: Client, kind: str, error: BaseException) -> Upload:
    match kind:
        case "file":
            return client.put(way.place.bucket, way.new, FailingFile(LARGE, error))
        case "file stream":
            return client.put_stream(way.place.bucket, way.new, FailingFile(LARGE, error))
        case _:
            return client.put_stream(way.place.bucket, way.new, failing_iterator(error))


@pytest.mark.parametrize(
    "error", [Mine("mine"), OSError(5, "the disk"), ValueError("bad"), KeyboardInterrupt()], ids=repr
)
@pytest.mark.parametrize("kind", ["file", "file stream", "iterator"])
def test_what_a_file_or_stream_raises_is_what_the_user_gets(way: Way, kind: str, error: BaseException) -> None:
    client = way.client()
    job = failing_job(way, client, kind, error)
    with pytest.raises(type(error)) as caught:
        client.run_one(job)
    assert caught.value is error
    assert way.stored() is None
    deadline = time.monotonic() + 5  # Ctrl-C does not wait for a slow server's answer to the abort
    while way.uploads() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert way.uploads() == []


def test_one_file_that_fails_fails_alone(way: Way) -> None:
    client = way.client()
    jobs = [
        client.put(way.place.bucket, way.new, FailingFile(LARGE, Mine())),
        client.put(way.place.bucket, f"{way.new}-other", LARGE),
    ]
    ended = {job.key: job.error for job in client.run(jobs)}
    assert isinstance(ended[way.new], Mine)
    assert ended[f"{way.new}-other"] is None
    assert way.stored(f"{way.new}-other") == LARGE


def test_a_generator_is_closed_when_its_upload_fails(wire: Way) -> None:
    ended = []

    def chunks() -> Iterator[bytes]:
        try:
            yield LARGE
            yield LARGE
        finally:
            ended.append(True)

    wire.proxy.add(answers.error(400, "InvalidPart", operation="UploadPart"))
    with pytest.raises(errors.InvalidRequest):
        put_stream(wire, chunks(), memory_ceiling=2 * PART)
    assert ended == [True]


def test_a_closed_file_is_called_closed(wire: Way) -> None:
    file = io.BytesIO(LARGE)
    file.close()
    client = wire.client()
    with pytest.raises(errors.ConfigurationError, match="is closed"):
        client.run_one(client.put(wire.place.bucket, wire.new, file))
    with pytest.raises(errors.ConfigurationError, match="is closed"):
        put_stream(wire, file)


@pytest.mark.parametrize(
    "stream",
    [b"bytes", bytearray(3), "text", 7, None, [b"a", "b"], [7], io.StringIO("text")],
    ids=lambda it: type(it).__name__,
)
def test_what_is_no_stream_is_refused(wire: Way, stream: Any) -> None:
    with pytest.raises(errors.ConfigurationError, match="bytes-like"):
        put_stream(wire, stream)
    assert wire.stored() is None


def test_a_stream_of_arrays_is_stored_as_their_bytes(wire: Way) -> None:
    put_stream(wire, [array("d", [1.0]), (ctypes.c_int32 * 2 * 3)(), memoryview(b"0123")[1:3], bytearray(b"x")])
    assert wire.stored() == array("d", [1.0]).tobytes() + bytes(24) + b"12x"
    with pytest.raises(errors.ConfigurationError, match="C-contiguous"):
        put_stream(wire, [memoryview(bytes(8))[::2]])


# ---- files that change while they are uploaded: 49 ----


def shrink(path: Path) -> None:
    os.truncate(path, 3 * PART)


def grow(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def replace(path: Path) -> None:
    other = path.with_name("other")
    other.write_bytes(LARGE)
    other.rename(path)


def write_in_place(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(len(LARGE) - 10)
        file.write(b"changed")
    os.utime(path)


@pytest.mark.parametrize("change", [shrink, grow, replace, write_in_place])
def test_a_file_that_changes_while_it_is_uploaded_is_an_error_and_not_stored(
    way: Way, tmp_path: Path, change: Callable[[Path], None]
) -> None:
    path = tmp_path / "file"
    path.write_bytes(LARGE)
    way.proxy.add(Latency(0.5, operation="UploadPart", times=1))
    client = way.client(parts_in_flight=1)
    job = client.put(way.place.bucket, way.new, path)

    def watch() -> None:
        wait_for_part(way)
        change(path)

    watcher = threading.Thread(target=watch)
    watcher.start()
    with pytest.raises(errors.SourceChanged, match="at rest"):
        client.run_one(job)
    watcher.join()
    assert way.stored() is None
    assert way.uploads() == []


def wait_for_part(way: Way) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and not any(p.operation == "UploadPart" for p in way.proxy.log):
        time.sleep(0.005)


def test_a_path_that_has_become_a_pipe_is_an_error_and_no_hang(wire: Way, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(LARGE)
    client = wire.client()
    job = client.put(wire.place.bucket, wire.new, path)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(errors.LocalFileError, match="not a regular file"):
        client.run_one(job)


def test_the_memory_of_a_stream_goes_back_to_the_pool(wire: Way) -> None:
    client = wire.client()
    pool = process.buffer_pool(client.settings)
    before = pool.state()["in_use_bytes"]
    client.run_one(client.put_stream(wire.place.bucket, wire.new, pieces(LARGE)))
    assert pool.state()["in_use_bytes"] <= before
    with pytest.raises(Mine):
        client.run_one(client.put_stream(wire.place.bucket, wire.new, failing_iterator(Mine())))
    gc.collect()  # pytest's record of the exception holds frames
    assert pool.state()["in_use_bytes"] <= before
