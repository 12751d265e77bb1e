"""Runs one measurement in a fresh process, and looks at the server's CPU time meanwhile."""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fastdatastore.testing.servers import RunningServer

from . import environments, limit
from .catalogue import Client, Setting
from .work import BUCKET, Work

_ROOT = Path(__file__).resolve().parents[2]
# What a client may see of our environment: no proxies, no AWS settings, no tunables.
_KEPT = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH")


class MeasurementFailed(Exception):
    """The client failed, hung or was killed; the message is the end of what it said."""


@dataclass(frozen=True)
class Sample:
    """What one run took; sizes in bytes, times in seconds, of the timed section only (but the peak)."""

    seconds: float
    user_seconds: float
    system_seconds: float
    peak_rss_bytes: int
    server_seconds: float
    version: str


def measure(
    client: Client, setting: Setting, work: Work, server: RunningServer, *, warm_passes: int, timeout: float
) -> Sample:
    """Runs one client once.

    Raises:
        MeasurementFailed: see there.
    """
    with tempfile.TemporaryDirectory(prefix="fds-peers-", dir=_tmpfs()) as directory:
        home = Path(directory)
        (home / "files").mkdir()
        with (home / "stderr").open("w+b") as errors:
            process = subprocess.Popen(
                _argv(client, setting, work, server),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                cwd=home,
                env=_environment(client, server, home),
                start_new_session=True,
            )
            try:
                return _converse(process, client, setting, work, server, home, warm_passes, time.monotonic() + timeout)
            except (MeasurementFailed, BrokenPipeError) as error:
                errors.seek(0)
                said = errors.read().decode(errors="replace").strip()[-600:]
                raise MeasurementFailed(f"{error}: {said}" if said else str(error)) from error
            finally:
                _end(process)


def _converse(
    process: subprocess.Popen[bytes],
    client: Client,
    setting: Setting,
    work: Work,
    server: RunningServer,
    home: Path,
    warm_passes: int,
    deadline: float,
) -> Sample:
    if not client.is_limit:
        order = {
            "adapter": client.adapter,
            "options": dict(setting.options),
            "work": asdict(work),
            "warm_passes": warm_passes,
            "fresh": client.fresh,
            "directory": str(home / "files"),
        }
        _say(process, json.dumps(order))
    version = _hear(process, deadline)["ready"]
    before = server.cpu_seconds()
    _say(process, "go")
    result = _hear(process, deadline)
    return Sample(**result, server_seconds=server.cpu_seconds() - before, version=version)


def _argv(client: Client, setting: Setting, work: Work, server: RunningServer) -> list[str]:
    if client.is_limit:
        return limit.argv(setting.options, work, server.port, BUCKET)
    interpreter = environments.python(client.environment)
    if interpreter is None:
        raise MeasurementFailed("its environment is not set up; run: python -m bench.peers setup")
    return [str(interpreter), "-m", "bench.peers.worker"]


def _environment(client: Client, server: RunningServer, home: Path) -> dict[str, str]:
    environment = {name: os.environ[name] for name in _KEPT if name in os.environ}
    path = [str(_ROOT)]
    if not client.environment:  # ours may be a checkout that is not installed
        path += [entry for entry in sys.path if entry and Path(entry).is_dir()]
    environment |= {"HOME": str(home), "TMPDIR": str(home / "files"), "PYTHONPATH": os.pathsep.join(path)}
    environment |= {"AWS_EC2_METADATA_DISABLED": "true", **server.env(), **client.variables}
    if server.ca_file is not None:
        environment["SSL_CERT_FILE"] = environment["TENSORSTORE_CA_BUNDLE"] = str(server.ca_file)
    return environment


def _tmpfs() -> Path | None:
    """Memory for files, so that no disk is measured; None where the system has none."""
    shm = Path("/dev/shm")
    return shm if shm.is_dir() and os.access(shm, os.W_OK) else None


def _say(process: subprocess.Popen[bytes], line: str) -> None:
    assert process.stdin is not None
    process.stdin.write(line.encode() + b"\n")
    process.stdin.flush()


def _hear(process: subprocess.Popen[bytes], deadline: float) -> dict[str, Any]:
    """The next line of its answers."""
    assert process.stdout is not None
    line = b""
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while not line.endswith(b"\n"):
            if not selector.select(max(0.0, deadline - time.monotonic())):
                raise MeasurementFailed("it took too long")
            piece = os.read(process.stdout.fileno(), 65536)
            if not piece:
                raise MeasurementFailed("it ended before it was done")
            line += piece
    answer: dict[str, Any] = json.loads(line)
    return answer


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kills what is left of its session, workers of workers included."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for pipe in (process.stdin, process.stdout):
        assert pipe is not None
        with suppress(BrokenPipeError):
            pipe.close()
