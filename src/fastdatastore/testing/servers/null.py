"""Our own null server, native/nullserver/: valid S3 replies at next to no cost, for a client's ceiling."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from .errors import ServerStartFailed
from .launch import Launch, launch
from .ports import HOST
from .processes import log_excerpt
from .running import RunningServer

__all__ = ["NAME", "Traffic", "executable", "start", "traffic", "why_unavailable"]

NAME = "null"
_PROCESS = "nullserver"
_ANNOUNCEMENT = f"listening {HOST}:"
_REPORT = "moved "


class Traffic(NamedTuple):
    """What it had moved at a moment of `time.monotonic()`: bytes of bodies, sent to and received from clients."""

    time: float
    sent: int
    received: int


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
    part_min: int | None = None,
    opaque_etags: bool = False,
    latency_ms: float = 0,
    jitter_ms: float = 0,
    down_mb_per_s: float = 0,
    up_mb_per_s: float = 0,
    link_gbps: float = 0,
    max_requests_per_second: float = 0,
    per_prefix: bool = False,
    fail_percent: float = 0,
    seed: int = 0,
    idle_close_ms: float = 0,
    report_ms: int = 0,
) -> RunningServer:
    """Starts it; takes milliseconds.

    From `latency_ms` on, the arguments make it behave like an S3 at the other end of a network; 0 is no limit. A real
    one is about `latency_ms=30, down_mb_per_s=90, up_mb_per_s=20, link_gbps=10, idle_close_ms=5000`.

    Args:
        tls: serve https, with a certificate by an authority made for it.
        buckets: to create; the other modes than `store` have every bucket.
        workdir: where to make its temporary directory.
        timeout: seconds until it must answer.
        mode: `store` keeps objects in memory, `fixed` answers GETs with a pattern, `sink` swallows PUTs.
        object_size: size of every object of `fixed`, in bytes.
        memory_limit: for the objects of `store`, in bytes.
        part_min: least size of every part of an upload but its last, in bytes; S3's is 5 MiB.
        opaque_etags: the ETags of `store` are no MD5s, which cost more than all the rest.
        latency_ms: least time from a request's last byte to its reply's first, in milliseconds.
        jitter_ms: up to so much more, evenly distributed, in milliseconds.
        down_mb_per_s: to each connection, in MB/s (10^6 bytes a second).
        up_mb_per_s: from each connection, in MB/s.
        link_gbps: of all connections together, in each direction, in Gbit/s (10^9 bits a second).
        max_requests_per_second: above it requests are answered 503 SlowDown; up to 0.1 s of it may come at once.
        per_prefix: each bucket and prefix (the key up to its last `/`) has that rate for itself.
        fail_percent: this share of the requests, chosen at random, is answered 500 InternalError.
        seed: of everything random: below 10^15.
        idle_close_ms: a connection without a request for so long, after one, is closed; in milliseconds.
        report_ms: how often it notes what it has moved, for `traffic`, in milliseconds; 0: never.
    """

    shaping = {
        "--first-byte-ms": latency_ms,
        "--jitter-ms": jitter_ms,
        "--down-mb-per-s": down_mb_per_s,
        "--up-mb-per-s": up_mb_per_s,
        "--link-gbps": link_gbps,
        "--max-requests-per-second": max_requests_per_second,
        "--fail-percent": fail_percent,
        "--seed": seed,
        "--idle-close-ms": idle_close_ms,
    }

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
        for option, value in shaping.items():
            if value:
                argv += [option, f"{value:f}"]
        if per_prefix:
            argv.append("--per-prefix")
        if opaque_etags:
            argv.append("--opaque-etags")
        if report_ms:
            argv += ["--report-ms", str(report_ms)]
        if object_size is not None:
            argv += ["--object-size", str(object_size)]
        if memory_limit is not None:
            argv += ["--memory-limit", str(memory_limit)]
        if part_min is not None:
            argv += ["--part-min", str(part_min)]
        if started.certificate:
            argv += ["--cert", started.certificate.cert_file, "--key", started.certificate.key_file]
        started.processes.spawn(_PROCESS, argv, hold_stdin=True)
        log = started.processes.log(_PROCESS)
        started.wait(_PROCESS, lambda: _announced(log) is not None)
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


def traffic(server: RunningServer) -> list[Traffic]:
    """What a null server that was started with `report_ms` has noted so far, oldest first."""
    noted = []
    for line in _lines(server.processes.log(_PROCESS)):
        if line.startswith(_REPORT) and line.endswith("\n"):
            moment, sent, received = line.removeprefix(_REPORT).split()
            noted.append(Traffic(float(moment), int(sent), int(received)))
    return noted


def _lines(log: Path) -> list[str]:
    return log.read_text(errors="replace").splitlines(keepends=True)


def _announced(log: Path) -> int | None:
    """The port in its first line of output, once that is whole."""
    for line in _lines(log):
        port = line.removeprefix(_ANNOUNCEMENT).rstrip("\n")
        if line.startswith(_ANNOUNCEMENT) and line.endswith("\n") and port.isdigit():
            return int(port)
    return None
