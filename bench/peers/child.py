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
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
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


class Child:
    """A client's process. The parent gives it an order, hears that it is ready, says "go", hears the result."""

    def __init__(self, process: subprocess.Popen[bytes], files: Path) -> None:
        self._process = process
        self.files = files

    @property
    def pid(self) -> int:
        """Of the process; others that belong to it descend from it."""
        return self._process.pid

    def say(self, line: str) -> None:
        """Writes a line to its stdin."""
        assert self._process.stdin is not None
        self._process.stdin.write(line.encode() + b"\n")
        self._process.stdin.flush()

    def hear(self, deadline: float) -> dict[str, Any]:
        """The next line of its answers.

        Args:
            deadline: on time.monotonic().

        Raises:
            MeasurementFailed: there is none.
        """
        line = b""
        while not line.endswith(b"\n"):
            if self.is_silent_until(deadline):
                raise MeasurementFailed("it took too long")
            assert self._process.stdout is not None
            piece = os.read(self._process.stdout.fileno(), 65536)
            if not piece:
                raise MeasurementFailed("it ended before it was done")
            line += piece
        answer: dict[str, Any] = json.loads(line)
        return answer

    def is_silent_until(self, deadline: float) -> bool:
        """Waits until then, or until it answers or ends."""
        assert self._process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            return not selector.select(max(0.0, deadline - time.monotonic()))


@contextmanager
def running(client: Client, setting: Setting, work: Work, server: RunningServer) -> Iterator[Child]:
    """A client's process, as `started` makes them."""
    argv = _argv(client, setting, work, server)
    with started(argv, server, environment=client.environment, variables=client.variables) as child:
        yield child


@contextmanager
def started(
    argv: Sequence[str], server: RunningServer, *, environment: str, variables: Mapping[str, str]
) -> Iterator[Child]:
    """A process that works against the server; at the end of the block it is killed, with all that it has started.

    Args:
        environment: The name of the virtual environment that its interpreter is from; "" is ours.
        variables: Of its environment, beside the server's.

    Raises:
        MeasurementFailed: in the block, with the end of what the process said.
    """
    with tempfile.TemporaryDirectory(prefix="fds-peers-", dir=_tmpfs()) as directory:
        home = Path(directory)
        (home / "files").mkdir()
        with (home / "stderr").open("w+b") as errors:
            process = subprocess.Popen(
                argv,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                cwd=home,
                env=_variables(server, home, environment, variables),
                start_new_session=True,
            )
            try:
                yield Child(process, home / "files")
            except (MeasurementFailed, BrokenPipeError) as error:
                errors.seek(0)
                said = errors.read().decode(errors="replace").strip()[-600:]
                raise MeasurementFailed(f"{error}: {said}" if said else str(error)) from error
            finally:
                _end(process)


def measure(
    client: Client, setting: Setting, work: Work, server: RunningServer, *, warm_passes: int, timeout: float
) -> Sample:
    """Runs one client once.

    Raises:
        MeasurementFailed: see there.
    """
    deadline = time.monotonic() + timeout
    with running(client, setting, work, server) as child:
        if not client.is_limit:
            child.say(order(client, setting, work, child.files, warm_passes=warm_passes))
        version = child.hear(deadline)["ready"]
        before = server.cpu_seconds()
        child.say("go")
        result = child.hear(deadline)
        return Sample(**result, server_seconds=server.cpu_seconds() - before, version=version)


def order(
    client: Client, setting: Setting, work: Work, files: Path, *, warm_passes: int = 0, one_by_one: bool = False
) -> str:
    """What bench.peers.worker reads first.

    Args:
        one_by_one: Each object in a call of its own, instead of all in one.
    """
    return json.dumps(
        {
            "adapter": client.adapter,
            "options": dict(setting.options),
            "work": asdict(work),
            "warm_passes": warm_passes,
            "one_by_one": one_by_one,
            "fresh": client.fresh,
            "directory": str(files),
        }
    )


def _argv(client: Client, setting: Setting, work: Work, server: RunningServer) -> list[str]:
    if client.is_limit:
        return limit.argv(setting.options, work, server.port, BUCKET)
    return worker(client.environment, "bench.peers.worker")


def worker(environment: str, module: str) -> list[str]:
    """The command that runs a module in a virtual environment.

    Raises:
        MeasurementFailed: It is not set up.
    """
    interpreter = environments.python(environment)
    if interpreter is None:
        raise MeasurementFailed("its environment is not set up; run: python -m bench.peers setup")
    return [str(interpreter), "-m", module]


def _variables(server: RunningServer, home: Path, environment: str, variables: Mapping[str, str]) -> dict[str, str]:
    made = {name: os.environ[name] for name in _KEPT if name in os.environ}
    path = [str(_ROOT)]
    if not environment:  # ours may be a checkout that is not installed
        path += [entry for entry in sys.path if entry and Path(entry).is_dir()]
    made |= {"HOME": str(home), "TMPDIR": str(home / "files"), "PYTHONPATH": os.pathsep.join(path)}
    made |= {"AWS_EC2_METADATA_DISABLED": "true", **server.env(), **variables}
    if server.ca_file is not None:
        made["SSL_CERT_FILE"] = made["TENSORSTORE_CA_BUNDLE"] = str(server.ca_file)
    return made


def _tmpfs() -> Path | None:
    """Memory for files, so that no disk is measured; None where the system has none."""
    shm = Path("/dev/shm")
    return shm if shm.is_dir() and os.access(shm, os.W_OK) else None


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kills what is left of its session, workers of workers included."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for pipe in (process.stdin, process.stdout):
        assert pipe is not None
        with suppress(BrokenPipeError):
            pipe.close()
