"""Our own null server, native/nullserver/: valid S3 replies at next to no cost, for a client's ceiling."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from .errors import ServerStartFailed
from .launch import Launch, launch
from .ports import HOST
from .processes import log_excerpt
from .running import RunningServer

__all__ = ["NAME", "executable", "start", "why_unavailable"]

NAME = "null"
_ANNOUNCEMENT = f"listening {HOST}:"


def executable() -> Path:
    """The binary: $FDS_NULLSERVER, or the one built with the package."""
    if override := os.environ.get("FDS_NULLSERVER"):
        return Path(override)
    return Path(__file__).with_name("bin") / "fds-nullserver"


def why_unavailable() -> str | None:
    """None if it can be started, else a sentence that ends with the command that mends it."""
    if not os.access(executable(), os.X_OK):
        return (
            f"the null server was not built ({executable()} cannot be executed); "
            "run: pip install --force-reinstall --no-deps ."
        )
    return None


def start(
    *,
    tls: bool = False,
    buckets: Sequence[str] = (),
    workdir: Path | None = None,
    timeout: float = 60.0,
    mode: Literal["store", "fixed", "sink"] = "store",
    object_size: int | None = None,
    memory_limit: int | None = None,
) -> RunningServer:
    """Starts it; takes milliseconds.

    Args:
        tls: serve https, with a certificate by an authority made for it.
        buckets: to create; the other modes than `store` have every bucket.
        workdir: where to make its temporary directory.
        timeout: seconds until it must answer.
        mode: `store` keeps objects in memory, `fixed` answers GETs with a pattern, `sink` swallows PUTs.
        object_size: size of every object of `fixed`, in bytes.
        memory_limit: for the objects of `store`, in bytes.
    """

    def attempt(started: Launch) -> int:
        argv: list[str | Path] = [
            executable(),
            "--mode",
            mode,
            "--host",
            HOST,
            "--port",
            "0",
            "--exit-with-stdin",
        ]
        if object_size is not None:
            argv += ["--object-size", str(object_size)]
        if memory_limit is not None:
            argv += ["--memory-limit", str(memory_limit)]
        if started.certificate:
            argv += ["--cert", started.certificate.cert_file, "--key", started.certificate.key_file]
        started.processes.spawn("nullserver", argv, hold_stdin=True)
        log = started.processes.log("nullserver")
        started.wait("nullserver", lambda: _announced(log) is not None)
        port = _announced(log)
        if port is None:
            raise ServerStartFailed(f"it did not say where it listens:\n{log_excerpt(log)}")
        return port

    return launch(
        NAME,
        attempt,
        tls=tls,
        buckets=buckets if mode == "store" else (),
        workdir=workdir,
        timeout=timeout,
        checks_signatures=False,
    )


def _announced(log: Path) -> int | None:
    """The port in its first line of output, once that is whole."""
    for line in log.read_text(errors="replace").splitlines(keepends=True):
        port = line.removeprefix(_ANNOUNCEMENT).rstrip("\n")
        if line.startswith(_ANNOUNCEMENT) and line.endswith("\n") and port.isdigit():
            return int(port)
    return None
