"""Runs a server's processes and sees to it that none outlives the process that asked for them.

A program of its own, started by `processes.py` as `python -I -S guard.py DIRECTORY PARENT_PID`; it must
import nothing but the standard library.

Why a program and not PR_SET_PDEATHSIG in the servers themselves: that signal comes when the *thread* that
forked ends, macOS has none, and a hook between fork and exec is not safe in a parent with threads.
The guard has one thread and two ways to learn of its parent's end, which also cover SIGKILL: end of file on
stdin, and (where a forked sibling still holds the other end) a changed parent pid. It then kills what it
started and removes DIRECTORY. Should the guard itself be killed, its children get PR_SET_PDEATHSIG on Linux.

Protocol, one JSON value a line, an answer for each request:
    {"spawn": {"argv", "env", "cwd", "log", "hold_stdin"}}  -> {"pid": N} or {"error": "..."}
    {"poll": true}                                          -> {"exited": {"PID": Popen.returncode}}
    {"remove": ["PATH", ...]}                               -> {}, and removes these files too at the end
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from types import FrameType
from typing import Any

PARENT_CHECK_SECONDS = 0.5
PR_SET_PDEATHSIG = 1


_Children = dict[int, subprocess.Popen[bytes]]


class _Ended(Exception):
    """Somebody asked the guard to end."""


def _on_signal(_number: int, _frame: FrameType | None) -> None:
    raise _Ended


def _die_with_parent() -> None:
    """Runs in the child between fork and exec; safe because the guard has one thread."""
    import ctypes

    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _spawn(argv: list[str], env: dict[str, str], cwd: str, log: str, hold_stdin: bool) -> subprocess.Popen[bytes]:
    with open(log, "ab") as output:  # noqa: PTH123 - no pathlib in the guard
        return subprocess.Popen(
            argv,
            env=env,
            cwd=cwd,
            stdin=subprocess.PIPE if hold_stdin else subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_die_with_parent if sys.platform == "linux" else None,
        )


def _answer(request: dict[str, Any], children: _Children, strays: list[str]) -> dict[str, Any]:
    if "remove" in request:
        strays.extend(request["remove"])
        return {}
    if "spawn" in request:
        try:
            child = _spawn(**request["spawn"])
        except (OSError, ValueError) as error:
            return {"error": str(error)}
        children[child.pid] = child
        return {"pid": child.pid}
    return {"exited": {str(pid): child.poll() for pid, child in children.items() if child.poll() is not None}}


def _serve(parent: int, children: _Children, strays: list[str]) -> None:
    pending = b""
    while os.getppid() == parent:
        readable, _, _ = select.select([0], [], [], PARENT_CHECK_SECONDS)
        if not readable:
            continue
        received = os.read(0, 1 << 16)
        if not received:
            return
        *lines, pending = (pending + received).split(b"\n")
        for line in lines:
            os.write(1, json.dumps(_answer(json.loads(line), children, strays)).encode() + b"\n")


def _kill(children: _Children) -> None:
    # SIGKILL at once: these are throw-away servers, and a graceful stop of SeaweedFS takes 17 s.
    for pid, child in children.items():
        try:
            os.killpg(pid, signal.SIGKILL)  # also what a dead child left behind in its group
        except (ProcessLookupError, PermissionError):
            if child.poll() is None:
                child.kill()
    for child in children.values():
        child.wait()


def _remove(directory: str, strays: list[str]) -> None:
    import contextlib
    import shutil

    for stray in strays:
        with contextlib.suppress(OSError):
            os.unlink(stray)  # noqa: PTH108 - no pathlib in the guard
    # A process that is just dying may still add a file to a directory that was emptied.
    for _ in range(50):
        shutil.rmtree(directory, ignore_errors=True)
        if not os.path.lexists(directory):
            return
        time.sleep(0.02)


def main() -> None:
    """Serves requests until the parent is gone, then kills and removes."""
    directory, parent = sys.argv[1], int(sys.argv[2])
    children: _Children = {}
    strays: list[str] = []
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, _on_signal)
    try:
        _serve(parent, children, strays)
    except (_Ended, BrokenPipeError):
        pass
    finally:
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        _kill(children)
        _remove(directory, strays)


if __name__ == "__main__":
    main()
