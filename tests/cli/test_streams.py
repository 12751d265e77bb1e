"""`fds cat` and `fds cp` with -, as processes in pipes; signals and readers that go away."""

from __future__ import annotations

import secrets
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fastdatastore.cli import streams
from fastdatastore.cli.places import S3Place
from fastdatastore.config import MIB
from fastdatastore.errors import IntegrityError, Modified
from fastdatastore.testing.servers import RunningServer
from tests.cli.conftest import Fds
from tests.cli.leftovers import leftovers
from tests.support.clients import client_at, client_of
from tests.support.scripted_server import Received, Reply, ScriptedServer

pytestmark = pytest.mark.servers("null", "seaweedfs")

LARGE = secrets.token_bytes(20 * MIB + 7)


def _start(environment: dict[str, str], *arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "fastdatastore.cli", *arguments],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


@pytest.mark.parametrize("content", [b"", b"small\x00\xff", LARGE], ids=["empty", "small", "large"])
def test_bytes_go_through_pipes(
    fds_environment: dict[str, str], short_tmp: Path, s3_server: RunningServer, bucket: str, content: bytes
) -> None:
    url = f"s3://{bucket}/key"
    with _start(fds_environment | s3_server.env(), "cp", "-", url) as up:
        out, err = up.communicate(content, timeout=100)
    assert (up.returncode, out, err) == (0, f"upload: - to {url}\n".encode(), b"")
    for arguments in (["cat", url], ["cp", url, "-"]):
        with _start(fds_environment | s3_server.env(), *arguments) as down:
            out, err = down.communicate(timeout=100)
        assert (down.returncode, err) == (0, b"")
        assert out == content
    assert leftovers(short_tmp) == []


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows of 2 MiB instead of 128."""
    monkeypatch.setattr(streams, "_PIECE", MIB)
    monkeypatch.setattr(streams, "_WINDOW", 2)


@pytest.mark.usefixtures("small_pieces")
def test_windows_follow_one_another(
    s3_server: RunningServer, bucket: str, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    client = client_of(s3_server)
    client.run_one(client.put(bucket, "key", LARGE[: 7 * MIB + 1]))
    streams.to_stdout(client, S3Place(bucket, "key"))
    assert capfdbinary.readouterr().out == LARGE[: 7 * MIB + 1]


@pytest.mark.usefixtures("small_pieces")
@pytest.mark.parametrize(
    ("head", "ranges", "error"),
    [
        ({"etag": '"1"', "x-amz-checksum-crc32": "AAAAAQ=="}, {"etag": '"1"'}, IntegrityError),
        ({"etag": '"1"'}, {"etag": '"2"'}, Modified),
    ],
    ids=["damaged", "replaced"],
)
@pytest.mark.usefixtures("capfdbinary")
def test_a_large_object_that_is_damaged_or_replaced_is_an_error(
    head: dict[str, str], ranges: dict[str, str], error: type[Exception]
) -> None:
    content = LARGE[: 3 * MIB]

    def script(received: Received) -> Reply:
        if received.method == "HEAD":
            return Reply(headers={"content-length": str(len(content))} | head)
        first, last = received.range
        span = {"content-range": f"bytes {first}-{last}/{len(content)}"}
        return Reply(206, content[first : last + 1], span | ranges)

    with ScriptedServer(script) as server, pytest.raises(error):
        streams.to_stdout(client_at(server.url), S3Place("bucket", "key"))


def test_fds_cat_of_two_objects(fds: Fds, s3_server: RunningServer, bucket: str) -> None:
    client = client_of(s3_server)
    client.run_all([client.put(bucket, "one", b"1\n"), client.put(bucket, "two", b"2\n")])
    assert fds("cat", f"s3://{bucket}/two", f"s3://{bucket}/one", **s3_server.env()).stdout == "2\n1\n"


@pytest.mark.parametrize("command", [["cat", "{b}/key"], ["ls", "-r", "{b}"]], ids=" ".join)
def test_a_reader_that_goes_away_is_no_error_message(
    fds_environment: dict[str, str], s3_server: RunningServer, bucket: str, command: list[str]
) -> None:
    client = client_of(s3_server)
    client.run_all([client.put(bucket, "key", LARGE)])
    client.run_all([client.put(bucket, f"many/{i:04}" + "x" * 100, b"") for i in range(1000)])
    arguments = [part.replace("{b}", f"s3://{bucket}") for part in command]
    with _start(fds_environment | s3_server.env(), *arguments) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.read(10)
        process.stdout.close()
        assert process.wait(30) == 1
        assert process.stderr.read() == b""


def test_CtrlC_ends_a_copy_of_a_server_that_is_silent(
    fds_environment: dict[str, str], tmp_path: Path, short_tmp: Path
) -> None:
    target = tmp_path / "target"
    with ScriptedServer(lambda received: Reply(hang=True)) as hanging:
        signs = {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_ENDPOINT_URL": hanging.url}
        with _start(fds_environment | signs, "cp", "-r", "s3://bucket/", str(target)) as process:
            while not hanging.requests:
                time.sleep(0.02)
            began = time.monotonic()
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=20)
            took = time.monotonic() - began
    assert (process.returncode, err) == (130, b"interrupted\n")
    assert took < 10.0  # the server is silent for longer
    assert not target.exists()
    assert leftovers(short_tmp) == []
