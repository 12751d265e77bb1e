"""`fds artifact` as processes in pipes, and what a signal leaves behind."""

from __future__ import annotations

import secrets
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fastdatastore import ArtifactStore
from fastdatastore.config import MIB
from fastdatastore.testing.servers import null
from tests.cli.leftovers import leftovers

LARGE = secrets.token_bytes(20 * MIB + 7)


def _start(environment: dict[str, str], *arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "fastdatastore.cli", "artifact", *arguments],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


@pytest.mark.parametrize("content", [b"", b"small\x00\xff", LARGE], ids=["empty", "small", "large"])
def test_bytes_go_through_pipes(
    fds_environment: dict[str, str], short_tmp: Path, tmp_path: Path, content: bytes
) -> None:
    url = (tmp_path / "store").as_uri()
    with _start(fds_environment, "put", url, "-", "--tag", "piped") as up:
        out, err = up.communicate(content, timeout=100)
    assert (up.returncode, err) == (0, b"")
    assert out.decode().strip() == ArtifactStore(url).resolve("piped")
    with _start(fds_environment, "get", url, "piped", "-") as down:
        out, err = down.communicate(timeout=100)
    assert (down.returncode, err, out) == (0, b"", content)
    assert leftovers(short_tmp) == []


@pytest.mark.parametrize("verb", ["put", "get"])
def test_ctrl_c_ends_it_and_leaves_nothing_half_done(
    fds_environment: dict[str, str], tmp_path: Path, verb: str
) -> None:
    (tmp_path / "here").mkdir()
    source, target = tmp_path / "here" / "source", tmp_path / "here" / "target"
    source.write_bytes(LARGE)
    rates = (1.0, 0.0) if verb == "put" else (0.0, 1.0)
    with null.start(buckets=["bucket"], up_mb_per_s=rates[0], down_mb_per_s=rates[1]) as server:
        environment = fds_environment | server.env()
        arguments = ["put", "s3://bucket/store", str(source)]
        if verb == "get":
            with _start(environment, *arguments) as up:
                ref = up.communicate(timeout=100)[0].decode().strip()
            arguments = ["get", "s3://bucket/store", ref, str(target)]
        with _start(environment, *arguments) as process:
            time.sleep(3.0)
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=30)
        assert (process.returncode, err) == (130, b"interrupted\n")
        with _start(environment, "verify", "s3://bucket/store") as check:
            assert b"good: " in check.communicate(timeout=100)[0]
    assert [path.name for path in (tmp_path / "here").iterdir()] == ["source"]
