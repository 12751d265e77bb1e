"""What the process and its disk do to a transfer: full disks, signals, exceptions of the caller's own: 62, 63, 66.

Forks and the interpreter's end have tests in tests/engine/test_process_life.py and test_credentials.py.
"""

from __future__ import annotations

import errno
import io
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fastdatastore import errors
from fastdatastore.config import MIB
from fastdatastore.engine import process
from fastdatastore.engine.client import Client
from fastdatastore.engine.files import FileSink
from tests.support.clients import client_at
from tests.support.faulty import LARGE, MIDDLING, SMALL, Way
from tests.support.scripted_server import Received, Reply, ScriptedServer, StoredObject

# ---- the disk: 62 ----

_LIMITED = """
import resource, sys
from pathlib import Path
from fastdatastore import errors
from fastdatastore.auth.credentials import Credentials, StaticCredentials
from fastdatastore.auth.endpoint import EndpointConfig
from fastdatastore.engine.client import Client

resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
endpoint = EndpointConfig(sys.argv[1], "us-east-1", "", "path")
client = Client(endpoint, StaticCredentials(Credentials("key", "secret")))
try:
    client.run_one(client.get("bucket", "key", client.file_sink(Path(sys.argv[2]))))
except errors.LocalFileError as error:
    print(error)
"""


@pytest.mark.fault(62)
def test_a_file_that_may_not_grow_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    with ScriptedServer(StoredObject(LARGE[: 20 * MIB]).get) as server:
        done = subprocess.run(
            [sys.executable, "-c", _LIMITED, server.url, str(tmp_path / "file")],
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"cannot write {tmp_path / 'file'}: File too large")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.fault(62)
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize("step", ["posix_fallocate", "pwrite"])
def test_a_disk_that_fills_up_at_any_step_is_an_error_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, step: str
) -> None:
    real = getattr(os, step)
    calls = 0

    def full(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == (2 if step == "pwrite" else 1):
            raise OSError(number, os.strerror(number))
        return real(*arguments)

    monkeypatch.setattr(os, step, full)
    with ScriptedServer(StoredObject(LARGE[: 20 * MIB]).get) as server:
        client = client_at(server.url)
        with pytest.raises(errors.InsufficientDiskSpace, match="20,971,520 bytes"):
            client.run_one(client.get("bucket", "key", client.file_sink(tmp_path / "file")))
    assert list(tmp_path.iterdir()) == []
    assert process.plane(client.remote.plane, client.settings).in_flight == 0


# ---- signals: 63 ----


class DeafUploads:
    """Takes Create; whatever comes then, aborts too, is never answered."""

    def __init__(self) -> None:
        self.busy = threading.Event()
        self.aborting = threading.Event()

    def __call__(self, received: Received) -> Reply:
        if "uploads" in received.query:
            return Reply(200, b"<R><UploadId>u1</UploadId></R>", {"x-amz-checksum-algorithm": "CRC64NVME"})
        (self.aborting if received.method == "DELETE" else self.busy).set()
        return Reply(hang=True)


_UPLOADS = """
import signal, sys
from fastdatastore.auth.credentials import Credentials, StaticCredentials
from fastdatastore.auth.endpoint import EndpointConfig
from fastdatastore.engine.client import Client

signal.signal(signal.SIGINT, signal.default_int_handler)
if "handled" in sys.argv[2]:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
endpoint = EndpointConfig(sys.argv[1], "us-east-1", "", "path")
client = Client(endpoint, StaticCredentials(Credentials("key", "secret")))
client.run_one(client.put("bucket", "key", bytes(30 << 20)))
"""


@pytest.fixture
def uploading() -> Iterator[Any]:
    """Starts a process that uploads to a script; it ends with the test."""
    started: list[subprocess.Popen[str]] = []

    def start(url: str, how: str = "") -> subprocess.Popen[str]:
        child = subprocess.Popen(
            [sys.executable, "-X", "faulthandler", "-c", _UPLOADS, url, how], stderr=subprocess.PIPE, text=True
        )
        started.append(child)
        return child

    yield start
    for child in started:
        child.kill()
        child.communicate()


def _end(child: subprocess.Popen[str]) -> tuple[int, str]:
    """How it ended and what it said; it waits for no server: these never answer, and a stall is known after 30 s."""
    said = child.communicate(timeout=10)[1]
    return child.returncode, said


@pytest.mark.fault(63)
def test_a_second_ctrl_c_ends_what_the_first_has_begun(uploading: Any) -> None:
    script = DeafUploads()
    with ScriptedServer(script) as server:
        child = uploading(server.url)
        assert script.busy.wait(15)
        child.send_signal(signal.SIGINT)
        time.sleep(0.1)
        child.send_signal(signal.SIGINT)
        code, said = _end(child)
    assert code != 0
    assert "KeyboardInterrupt" in said
    assert "Fatal" not in said


@pytest.mark.fault(51, 63)
def test_ctrl_c_waits_for_no_server_that_does_not_answer_the_abort(uploading: Any) -> None:
    script = DeafUploads()
    with ScriptedServer(script) as server:
        child = uploading(server.url)
        assert script.busy.wait(15)
        child.send_signal(signal.SIGINT)
        _, said = _end(child)
    assert script.aborting.is_set()
    assert "KeyboardInterrupt" in said


@pytest.mark.fault(63)
@pytest.mark.parametrize(("how", "code"), [("", -signal.SIGTERM), ("handled", 143)])
def test_sigterm_ends_it_at_once(uploading: Any, how: str, code: int) -> None:
    script = DeafUploads()
    with ScriptedServer(script) as server:
        child = uploading(server.url, how)
        assert script.busy.wait(15)
        child.send_signal(signal.SIGTERM)
        ended, said = _end(child)
    assert ended == code
    assert script.aborting.is_set() == (how == "handled")  # a handler that raises cleans up, the default one cannot
    assert "Fatal" not in said


# ---- what the caller's own code raises: 66 ----


class Mine(Exception):
    """Of the caller."""


class Breaking(io.BytesIO):
    """Raises after so many bytes."""

    def __init__(self, content: bytes, after: int) -> None:
        super().__init__(content)
        self._left = after

    def readinto(self, buffer: Any, /) -> int:
        self._left -= len(buffer)
        if self._left < 0:
            raise Mine("of the file object")
        return super().readinto(buffer)


@pytest.mark.fault(66)
@pytest.mark.parametrize(("size", "after"), [(1000, 0), (len(MIDDLING), 0), (len(MIDDLING), 6 * MIB)])
def test_what_a_file_object_raises_comes_out_and_nothing_stays(way: Way, size: int, after: int) -> None:
    client = way.client()
    file = Breaking(LARGE[:size], after)
    with pytest.raises(Mine, match="of the file object"):
        client.run_one(client.put(way.place.bucket, way.new, file))
    assert file.closed
    assert way.stored() is None
    assert way.uploads() == []
    assert process.plane(client.remote.plane, client.settings).in_flight == 0


class Liar(io.RawIOBase):
    """Says that it has read more, less or nothing at all."""

    def __init__(self, said: int) -> None:
        self._said = said
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        self._at = 1000 if whence == os.SEEK_END else offset
        return self._at

    def readinto(self, buffer: Any, /) -> int:
        return self._said


@pytest.mark.fault(66)
@pytest.mark.parametrize("said", [0, -1, 1001, 2**40])
def test_a_file_object_that_does_not_tell_the_truth_uploads_nothing(said: int) -> None:
    with ScriptedServer(lambda received: Reply(200)) as server:
        client = client_at(server.url)
        with pytest.raises(errors.SourceChanged):
            client.run_one(client.put("bucket", "key", Liar(said)))
        assert server.requests == []


@pytest.mark.fault(66)
@pytest.mark.parametrize(
    ("key", "step"), [("small", "take"), ("small", "open"), ("large", "open"), ("large", "landed")]
)
def test_what_a_sink_raises_comes_out_and_leaves_no_file(
    wire: Way, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str, step: str
) -> None:
    def breaks(*_: Any) -> None:
        raise Mine("of the sink")

    monkeypatch.setattr(FileSink, step, breaks)
    client = wire.client()
    with pytest.raises(Mine, match="of the sink"):
        client.run_one(client.get(wire.place.bucket, key, client.file_sink(tmp_path / "file")))
    assert list(tmp_path.iterdir()) == []
    assert process.plane(client.remote.plane, client.settings).in_flight == 0
    monkeypatch.undo()
    assert bytes(client.run_one(client.get(wire.place.bucket, "small")).content) == SMALL


@pytest.mark.fault(66)
def test_other_threads_run_while_a_transfer_waits() -> None:
    release = threading.Event()

    def script(received: Received) -> Reply:
        assert release.wait(10)
        return Reply(200, b"x")

    with ScriptedServer(script) as server:
        client: Client = client_at(server.url)
        thread = threading.Thread(target=lambda: client.run_one(client.get("bucket", "key")))
        thread.start()
        while not server.requests:
            time.sleep(0.001)
        # Had the waiting thread kept the GIL, this one would not get here before the transfer fails.
        assert thread.is_alive()
        release.set()
        thread.join(10)
        assert not thread.is_alive()
