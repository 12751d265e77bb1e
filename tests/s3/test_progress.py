"""progress=: who is told what, when, and what happens when the callback raises."""

from __future__ import annotations

import asyncio
import io
import os
import pty
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fastdatastore import S3, AsyncS3, Progress
from fastdatastore.config import MIB
from fastdatastore.engine import process
from fastdatastore.engine.client import Client
from tests.support.clients import client_at
from tests.support.scripted_server import Received, Reply, ScriptedServer, StoredObject

pytestmark = pytest.mark.servers("null", "seaweedfs")

LARGE = bytes(range(256)) * (20 * MIB // 256)

VERBS: dict[str, tuple[Callable[[S3, Path, Any], object], int, int]] = {  # call, bytes, objects
    "put": (lambda s3, tmp, p: s3.put("new", LARGE, progress=p), len(LARGE), 1),
    "put_many": (lambda s3, tmp, p: s3.put_many([("a", b"12"), ("b", LARGE)], progress=p), len(LARGE) + 2, 2),
    "put_many of what is there": (lambda s3, tmp, p: s3.put_many([("key", b"1")], overwrite=False, progress=p), 0, 0),
    "get": (lambda s3, tmp, p: s3.get("key", progress=p), len(LARGE), 1),
    "get_many": (lambda s3, tmp, p: s3.get_many(["key", "small", "key"], progress=p), len(LARGE) + 5, 2),
    "iter_many": (lambda s3, tmp, p: list(s3.iter_many(["key", "small"], progress=p)), len(LARGE) + 5, 2),
    "get_into": (lambda s3, tmp, p: s3.get_into("key", bytearray(len(LARGE)), progress=p), len(LARGE), 1),
    "get_file": (lambda s3, tmp, p: s3.get_file("key", tmp / "out", progress=p), len(LARGE), 1),
}


@pytest.mark.parametrize("verb", VERBS)
def test_the_last_call_tells_the_whole(s3: S3, tmp_path: Path, verb: str) -> None:
    s3.put_many([("key", LARGE), ("small", b"12345")])
    call, size, objects = VERBS[verb]
    heard: list[Progress] = []
    call(s3, tmp_path, heard.append)
    last = heard[-1]
    assert (last.bytes, last.objects) == (size, objects)
    assert last.total_objects in (objects, None)
    assert last.seconds > 0
    assert last.rate == last.bytes / last.seconds
    assert [p.objects for p in heard] == sorted(p.objects for p in heard)


def test_it_is_told_while_one_large_object_is_on_its_way(tmp_path: Path) -> None:
    stored = StoredObject(LARGE)
    go_on = threading.Event()

    def script(received: Received) -> Reply:
        if "range" in received.headers and received.range[1] == len(LARGE) - 1:
            go_on.wait(10)
        return stored.get(received)

    heard: list[Progress] = []

    def listen(progress: Progress) -> None:
        heard.append(progress)
        if progress.bytes:
            go_on.set()

    with ScriptedServer(script) as server:
        s3 = S3(str(tmp_path), s3root="s3://some-bucket", client=client_at(server.url))
        s3.get("key", progress=listen)
    assert any(0 < p.bytes < len(LARGE) for p in heard)
    assert {p.total_bytes for p in heard if p.bytes} == {len(LARGE)}
    assert heard[-1].share == 1.0


class Stop(Exception):
    """The caller's own."""


def _raising(progress: Progress) -> None:
    raise Stop(f"{progress.bytes}")


@pytest.mark.parametrize("verb", [verb for verb in VERBS if "there" not in verb])
def test_a_callback_that_raises_ends_the_call_with_that(
    s3: S3, client: Client, control: Any, bucket: str, tmp_path: Path, verb: str
) -> None:
    s3.put_many([("key", LARGE), ("small", b"12345")])
    before = process.buffer_pool(client.settings).state()["in_use_bytes"]
    with pytest.raises(Stop):
        VERBS[verb][0](s3, tmp_path, _raising)
    assert process.buffer_pool(client.settings).state()["in_use_bytes"] <= before
    assert not control.list_multipart_uploads(Bucket=bucket).get("Uploads")
    assert list(tmp_path.rglob("*.part")) == []


def test_a_callback_that_raises_in_the_middle_leaves_no_file(tmp_path: Path) -> None:
    def script(received: Received) -> Reply:
        return Reply(200, LARGE, {"etag": '"e"'}, stop_after=MIB, hang=True)

    with ScriptedServer(script) as server:
        s3 = S3(str(tmp_path), s3root="s3://some-bucket", client=client_at(server.url))
        with pytest.raises(Stop):
            s3.get_file("key", tmp_path / "out", progress=_raising)
    assert list(tmp_path.iterdir()) == []


def test_it_can_be_awaited(s3: S3, client: Client, bucket: str, tmp_path: Path) -> None:
    s3.put_many([("key", LARGE), ("small", b"12345")])
    heard: list[Progress] = []

    async def main() -> None:
        async with AsyncS3(str(tmp_path), s3root=f"s3://{bucket}", client=client) as s3:
            await s3.get_many(["key", "small"], progress=heard.append)
            assert heard[-1].objects == 2
            with pytest.raises(Stop):
                await s3.get("key", progress=_raising)
            with pytest.raises(Stop):
                await s3.put("new", LARGE, progress=_raising)

    asyncio.run(main())


def test_no_bar_where_nobody_sees_it(s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    s3.put("key", LARGE, progress=True)
    assert s3.get("key", progress=True).blob == LARGE
    assert stream.getvalue() == ""


_PROGRAM = """
import sys
from fastdatastore import S3
from tests.support.clients import client_at
s3 = S3(".", s3root="s3://some-bucket", client=client_at(sys.argv[1]))
print(len(s3.get("key", progress=True).blob))
"""


def test_a_terminal_shows_a_bar_whose_end_stays(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    with ScriptedServer(StoredObject(LARGE).get) as server:
        done = subprocess.run(
            [sys.executable, "-c", _PROGRAM, server.url],
            stdout=subprocess.PIPE,
            stderr=theirs,
            env={**os.environ, "TERM": "xterm", "PYTHONPATH": str(Path.cwd()), "COLUMNS": "120"},
            timeout=60,
            check=True,
        )
    shown = os.read(ours, 100_000).decode()
    os.close(ours)
    os.close(theirs)
    assert done.stdout.strip() == str(len(LARGE)).encode()
    assert "1 of 1 objects" in shown
    assert "100%" in shown
    assert shown.endswith("\r\n")
