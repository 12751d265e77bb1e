"""A server's processes, run by the guard program so that they end with us, even when we are killed."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .errors import ServerStartFailed

__all__ = ["Processes", "log_excerpt"]

_GUARD = Path(__file__).with_name("guard.py")
_STOP_SECONDS = 10.0
# What a server may see of our environment. Not AWS_*, proxies and the like, which change what it does.
_ENVIRONMENT_KEPT = (
    "PATH",
    "LANG",
    "LC_ALL",
    "LD_LIBRARY_PATH",
    "DYLD_LIBRARY_PATH",
    "PYTHONPATH",
    "VIRTUAL_ENV",
    "ASAN_OPTIONS",
)


def log_excerpt(log: Path, first: int = 3, last: int = 12) -> str:
    """The first and last lines of a log: some programs say what is wrong, then print their usage."""
    try:
        text = log.read_bytes().decode("utf-8", "replace").strip()
    except OSError as error:
        return f"  (no log: {error})"
    lines = [f"  {line[:300]}" for line in text.splitlines()] or ["  (its log is empty)"]
    if len(lines) > first + last:
        lines = [*lines[:first], "  ...", *lines[-last:]]
    return "\n".join(lines)


class Processes:
    """The processes of one server and the temporary directory they live in.

    Both are gone after `stop()`, and with this process however it ends. Thread-safe. A child made by
    `os.fork()` may not use it: there `stop()` does nothing, as the servers belong to the parent.

    Args:
        label: goes into the directory's name.
        workdir: where to make the directory; the system's temporary directory by default.
    """

    def __init__(self, label: str, workdir: Path | None = None) -> None:
        # The name comes first: wherever a signal strikes, what is to be removed is known.
        parent = Path(workdir or tempfile.gettempdir()).resolve()
        self.directory = parent / f"fds-{label}-{secrets.token_hex(6)}"
        self._owner = os.getpid()
        self._lock = threading.Lock()
        self._stopped = False
        self.pids: dict[str, int] = {}
        try:
            self.directory.mkdir(mode=0o700)
            self._guard = subprocess.Popen(
                [sys.executable, "-I", "-S", "-B", str(_GUARD), str(self.directory), str(self._owner)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                start_new_session=True,  # Ctrl-C on the terminal is ours to handle, not the guard's
            )
        except BaseException:
            shutil.rmtree(self.directory, ignore_errors=True)
            raise

    def log(self, name: str) -> Path:
        """Where the output of the process called `name` goes."""
        return self.directory / f"{name}.log"

    def spawn(
        self,
        name: str,
        argv: Sequence[str | Path],
        *,
        env: Mapping[str, str] | None = None,
        hold_stdin: bool = False,
    ) -> int:
        """Starts a process in a session of its own.

        Args:
            name: for its log file and for messages.
            argv: the program and its arguments.
            env: variables beside the few that are passed on from ours.
            hold_stdin: give it a stdin that ends when the guard does, instead of /dev/null.

        Returns:
            Its pid.

        Raises:
            ServerStartFailed: the program could not be run.
        """
        environment = {key: os.environ[key] for key in _ENVIRONMENT_KEPT if key in os.environ}
        environment |= {"HOME": str(self.directory), "TMPDIR": str(self.directory), **(env or {})}
        answer = self._ask(
            {
                "spawn": {
                    "argv": [str(argument) for argument in argv],
                    "env": environment,
                    "cwd": str(self.directory),
                    "log": str(self.log(name)),
                    "hold_stdin": hold_stdin,
                }
            }
        )
        if "error" in answer:
            raise ServerStartFailed(f"{argv[0]} could not be run: {answer['error']}")
        pid = int(answer["pid"])
        self.pids[name] = pid
        return pid

    def exited(self) -> dict[str, int]:
        """The processes that have ended, by name, with their status (negative: the signal that killed it)."""
        ended = self._ask({"poll": True})["exited"]
        return {name: int(ended[str(pid)]) for name, pid in self.pids.items() if str(pid) in ended}

    def remove_at_end(self, paths: Sequence[Path]) -> None:
        """Files outside the directory that a process makes, to be removed with it."""
        self._ask({"remove": [str(path) for path in paths]})

    def run(self, name: str, argv: Sequence[str | Path], *, timeout: float) -> int:
        """Runs a process to its end.

        Returns:
            Its status.

        Raises:
            ServerStartFailed: it could not be run, or had not ended after `timeout` seconds.
        """
        self.spawn(name, argv)
        deadline = time.monotonic() + timeout
        while (status := self.exited().get(name)) is None:
            if time.monotonic() > deadline:
                raise ServerStartFailed(f"{argv[0]} had not ended after {timeout:g} s:\n{log_excerpt(self.log(name))}")
            time.sleep(0.01)
        del self.pids[name]
        return status

    def stop(self) -> None:
        """Kills the processes and removes the directory; does nothing again or in a forked child."""
        if os.getpid() != self._owner:
            return
        with self._lock:
            if self._stopped:
                return
            self._stopped = True
            guard = self._guard
            assert guard.stdin is not None
            assert guard.stdout is not None
            guard.stdin.close()
            try:
                guard.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                guard.kill()  # its children follow it (PR_SET_PDEATHSIG)
                guard.wait()
            finally:
                guard.stdout.close()
                shutil.rmtree(self.directory, ignore_errors=True)

    def _ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        with self._lock:
            if self._stopped:
                raise ServerStartFailed("the server was stopped already")
            guard = self._guard
            assert guard.stdin is not None
            assert guard.stdout is not None
            try:
                guard.stdin.write(json.dumps(request).encode() + b"\n")
                guard.stdin.flush()
                line = guard.stdout.readline()
            except BrokenPipeError:
                line = b""
            if not line:
                raise ServerStartFailed("the guard process of the server died; was it killed (out of memory)?")
            answer: dict[str, Any] = json.loads(line)
            return answer
