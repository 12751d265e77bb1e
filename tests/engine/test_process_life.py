"""The end of things: Ctrl-C, the interpreter's exit, a caller that walks away, ten thousand transfers."""

from __future__ import annotations

import gc
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fastdatastore.config import MIB
from fastdatastore.engine import process
from fastdatastore.engine.client import Client
from fastdatastore.errors import S3Error
from tests.support.clients import client_at
from tests.support.scripted_server import Received, Reply, ScriptedServer, StoredObject

LARGE = random.Random(17).randbytes(30 * MIB)


class SlowUploads:
    """Takes uploads; parts beyond the second are never answered."""

    def __init__(self) -> None:
        self.aborted = threading.Event()
        self.busy = threading.Event()
        self._lock = threading.Lock()
        self._parts = 0

    def __call__(self, received: Received) -> Reply:
        if received.method == "DELETE":
            self.aborted.set()
            return Reply(204)
        if received.method == "GET":
            return Reply(404)  # it is gone
        if "uploads" in received.query:
            headers = {"x-amz-checksum-algorithm": "CRC64NVME"}
            return Reply(200, b"<R><UploadId>u1</UploadId></R>", headers)
        with self._lock:
            self._parts += 1
            if self._parts > 2:
                self.busy.set()
                return Reply(hang=True)
        kept = "x-amz-checksum-crc64nvme"
        return Reply(200, b"", {"etag": '"p"', kept: received.headers[kept]})


class SlowDownloads:
    """Sends the first half of everything, then nothing."""

    def __init__(self) -> None:
        self.busy = threading.Event()
        self._stored = StoredObject(LARGE)

    def __call__(self, received: Received) -> Reply:
        reply = self._stored.get(received)
        head = f"HTTP/1.1 {reply.status} Slow\r\ncontent-length: {len(reply.body)}\r\n" + "".join(
            f"{name}: {value}\r\n" for name, value in reply.headers.items()
        )
        if "range" in received.headers:
            self.busy.set()
        return Reply(raw=head.encode() + b"\r\n" + reply.body[: len(reply.body) // 2])


_PROGRAM = """
import sys, threading
from fastdatastore.engine.client import Client
from fastdatastore.auth.endpoint import EndpointConfig

client = Client(EndpointConfig(sys.argv[1], "us-east-1", "", "path"))
what = sys.argv[2]
def transfer():
    if "put" in what:
        client.run_one(client.put("bucket", "key", bytes(30 << 20)))
    else:
        client.run_one(client.get("bucket", "key"))
if "thread" in what:
    thread = threading.Thread(target=transfer, daemon=True)
    thread.start()
    sys.stdin.readline()
elif "generator" in what:
    jobs = client.run([client.get("bucket", "tiny"), client.get("bucket", "key")])
    next(jobs)
    sys.stdin.readline()
else:
    transfer()
print("left by itself")
"""


def _start(url: str, what: str, program: str = _PROGRAM) -> subprocess.Popen[str]:
    variables = {"AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s", "FDS_PART_SIZE": str(5 * MIB)}
    return subprocess.Popen(
        [sys.executable, "-X", "faulthandler", "-c", program, url, what],
        env={**os.environ, **variables},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def children() -> Iterator[list[subprocess.Popen[str]]]:
    """Processes that end with the test."""
    started: list[subprocess.Popen[str]] = []
    yield started
    for child in started:
        child.kill()
        child.communicate()


def _interrupt(child: subprocess.Popen[str]) -> str:
    """What it says at its end, which waits for no server: these never answer, and a stall is known after 30 s."""
    child.send_signal(signal.SIGINT)
    return child.communicate(timeout=10)[1]


@pytest.mark.fault(63)
def test_ctrl_c_in_an_upload_ends_it_at_once_and_aborts_it(children: list[subprocess.Popen[str]]) -> None:
    script = SlowUploads()
    with ScriptedServer(script) as server:
        children.append(child := _start(server.url, "put"))
        assert script.busy.wait(15)
        said = _interrupt(child)
        assert "KeyboardInterrupt" in said
        assert script.aborted.is_set()


@pytest.mark.fault(63)
def test_ctrl_c_in_a_download_ends_it_at_once(children: list[subprocess.Popen[str]]) -> None:
    script = SlowDownloads()
    with ScriptedServer(script) as server:
        children.append(child := _start(server.url, "get"))
        assert script.busy.wait(15)
        said = _interrupt(child)
        assert "KeyboardInterrupt" in said


@pytest.mark.fault(65)
@pytest.mark.parametrize("what", ["get in a thread", "put in a thread"])
def test_the_interpreter_exits_with_transfers_under_way(children: list[subprocess.Popen[str]], what: str) -> None:
    script = SlowUploads() if what.startswith("put") else SlowDownloads()
    with ScriptedServer(script) as server:
        children.append(child := _start(server.url, what))
        assert script.busy.wait(15)
        out, said = child.communicate("\n", timeout=10)
        assert child.returncode == 0, said
        assert out == "left by itself\n"
        assert "Fatal" not in said
        assert "cannot schedule" not in said


@pytest.mark.fault(65)
def test_the_interpreter_exits_with_a_generator_half_drawn(children: list[subprocess.Popen[str]]) -> None:
    slow, tiny = SlowDownloads(), StoredObject(b"tiny")
    with ScriptedServer(lambda r: tiny.get(r) if r.path.endswith("tiny") else slow(r)) as server:
        children.append(child := _start(server.url, "generator"))
        out, said = child.communicate("\n", timeout=10)
        assert (child.returncode, out) == (0, "left by itself\n"), said


# ---- a caller that walks away ----


def test_a_caller_that_walks_away_leaves_nothing_behind() -> None:
    uploads, tiny = SlowUploads(), StoredObject(b"tiny")

    def script(received: Received) -> Reply:
        if received.method != "GET":
            return uploads(received)
        assert uploads.busy.wait(10)
        return tiny.get(received)

    with ScriptedServer(script) as server:
        client = client_at(server.url)
        jobs = client.run([client.put("bucket", "large", LARGE), client.get("bucket", "tiny")])
        assert next(jobs).operation == "GetObject"
        jobs.close()
        assert uploads.aborted.is_set()
        assert process.plane(client.remote.plane, client.settings).in_flight == 0


def test_an_upload_that_was_begun_unheard_is_aborted_too() -> None:
    uploads, tiny = SlowUploads(), StoredObject(b"tiny")
    go_on = threading.Event()

    def script(received: Received) -> Reply:
        if received.method == "GET":
            return tiny.get(received)
        assert go_on.wait(10)
        return uploads(received)

    with ScriptedServer(script) as server:
        client = client_at(server.url)
        jobs = client.run([client.get("bucket", "tiny"), client.put("bucket", "large", LARGE)])
        assert next(jobs).operation == "GetObject"
        go_on.set()
        time.sleep(0.5)  # the reply to Create waits in the queue
        jobs.close()
        assert uploads.aborted.is_set()


def test_a_download_that_is_left_leaves_no_file(tmp_path: Path) -> None:
    slow, tiny = SlowDownloads(), StoredObject(b"tiny")
    with ScriptedServer(lambda r: tiny.get(r) if r.path.endswith("tiny") else slow(r)) as server:
        client = client_at(server.url)
        large = client.get("bucket", "large", client.file_sink(tmp_path / "large"))
        for job in client.run([large, client.get("bucket", "tiny")]):
            assert job.content.tobytes() == b"tiny"
            break
        gc.collect()
        assert list(tmp_path.iterdir()) == []
        assert large.content.nbytes == 0


@pytest.mark.fault(66)
def test_a_source_of_jobs_that_raises_ends_the_run_with_that() -> None:
    slow = SlowDownloads()
    with ScriptedServer(slow) as server:
        client = client_at(server.url)

        def jobs() -> Iterator[object]:
            yield client.get("bucket", "large")
            raise LookupError("of the caller")

        with pytest.raises(LookupError, match="of the caller"):
            list(client.run(jobs()))  # type: ignore[arg-type]
        assert process.plane(client.remote.plane, client.settings).in_flight == 0


def test_a_child_that_has_its_parents_generator_does_not_hang() -> None:
    slow, tiny = SlowDownloads(), StoredObject(b"tiny")
    with ScriptedServer(lambda r: tiny.get(r) if r.path.endswith("tiny") else slow(r)) as server:
        client = client_at(server.url)
        jobs = client.run([client.get("bucket", "tiny"), client.get("bucket", "large")])
        next(jobs)
        pid = os.fork()
        if not pid:
            code = 1
            try:
                signal.signal(signal.SIGALRM, signal.SIG_DFL)
                signal.alarm(10)
                with pytest.raises(RuntimeError, match="forked child"):
                    next(jobs)
                jobs.close()
                code = 0
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        jobs.close()


# Hooks that were registered earlier run between ours, and hand the GIL to other threads.
_FORKS = """
import os, sys, threading, time
hook_runs = threading.Event()
def hook():
    hook_runs.set()
    time.sleep(0.2)
os.register_at_fork(before=hook, after_in_parent=lambda: time.sleep(0.2))
from fastdatastore.engine.client import Client
from fastdatastore.auth.endpoint import EndpointConfig

client = Client(EndpointConfig(sys.argv[1], "us-east-1", "", "path"))
client.run_one(client.get("bucket", "tiny"))  # credentials are found, connections are there
first, second = (client.get("bucket", "tiny") for _ in range(2))
def jobs():
    yield first
    hook_runs.wait()
    yield second  # is submitted in the middle of the fork
done = []
thread = threading.Thread(target=lambda: done.extend(client.run(jobs())))
thread.start()
time.sleep(0.3)
pid = os.fork()
if not pid:
    os._exit(0)
os.waitpid(pid, 0)
thread.join()
assert [bytes(job.content) for job in done] == [b"tiny", b"tiny"]
print("left by itself")
"""


def test_a_request_that_is_submitted_in_the_middle_of_a_fork_waits_for_its_end(
    children: list[subprocess.Popen[str]],
) -> None:
    with ScriptedServer(StoredObject(b"tiny").get) as server:
        children.append(child := _start(server.url, "forks", program=_FORKS))
        out, said = child.communicate(timeout=20)
        assert (child.returncode, out) == (0, "left by itself\n"), said


def test_the_state_of_things_is_shown() -> None:
    client = client_at("http://127.0.0.1:1")
    assert repr(client) == "<Client http://127.0.0.1:1>"
    assert repr(client.remote) == "<Remote http://127.0.0.1:1 | checksums unknown>"
    assert repr(client.get("bucket", "key")) == "<GetJob s3://bucket/key | 0 requests in flight>"
    assert "in flight" in repr(process.plane(client.remote.plane, client.settings))


# ---- memory and descriptors ----


def _descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def _cycle(client: Client, count: int) -> None:
    jobs = [client.get("bucket", str(i % 7)) for i in range(count)]
    for job in client.run(jobs):
        assert job.error is None or isinstance(job.error, S3Error)


def _no_leak(rounds: int, count: int) -> None:
    stored = StoredObject(LARGE[:300_000])  # over what comes inline, so each takes a region

    def script(received: Received) -> Reply:
        return Reply(reset=True) if received.number % 50 == 49 else stored.get(received)

    with ScriptedServer(script) as server:
        client = client_at(server.url, attempts=2, connections=8)  # so that idle ones are few, however wide it goes
        _cycle(client, count)
        gc.collect()
        pool = process.buffer_pool(client.settings)
        before, regions = _descriptors(), pool.state()
        for _ in range(rounds):
            _cycle(client, count)
        gc.collect()
        after = pool.state()
        assert {name: after[name] for name in after if "use" in name} == {
            name: regions[name] for name in regions if "use" in name
        }
        assert _descriptors() <= before + 32  # connections that idle, at both ends
        assert process.plane(client.remote.plane, client.settings).in_flight == 0


def test_transfers_leave_no_region_and_no_descriptor() -> None:
    _no_leak(rounds=3, count=100)


@pytest.mark.long
@pytest.mark.timeout(600)
def test_ten_thousand_transfers_leave_no_region_and_no_descriptor() -> None:
    _no_leak(rounds=20, count=500)
