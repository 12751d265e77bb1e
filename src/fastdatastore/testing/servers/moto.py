"""moto's S3 server, of PyPI's moto[server,s3]: checks neither signatures nor checksums. Apache-2.0."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path

from .launch import Launch, launch
from .ports import HOST, free_ports
from .running import RunningServer

__all__ = ["NAME", "start", "why_unavailable"]

NAME = "moto"


def why_unavailable() -> str | None:
    """None if it can be started, else a sentence that ends with the command that mends it."""
    if any(importlib.util.find_spec(module) is None for module in ("moto", "werkzeug", "flask_cors")):
        return "moto's server is not installed; run: python -m pip install 'moto[s3,server]'"
    return None


def start(
    *, tls: bool = False, buckets: Sequence[str] = (), workdir: Path | None = None, timeout: float = 60.0
) -> RunningServer:
    """Starts it; takes about a second.

    Args:
        tls: serve https, with a certificate by an authority made for it.
        buckets: to create.
        workdir: where to make its temporary directory.
        timeout: seconds until it must answer.
    """
    chosen: list[int] = []

    def attempt(started: Launch) -> int:
        chosen[:] = free_ports(1)
        argv: list[str | Path] = [sys.executable, "-m", "moto.server", "-H", HOST, "-p", str(chosen[0])]
        if started.certificate:
            argv += ["-c", started.certificate.cert_file, "-k", started.certificate.key_file]
        started.processes.spawn("moto", argv)
        started.wait_http("moto", chosen[0], "/moto-api/", (200,))
        return chosen[0]

    return launch(
        NAME,
        attempt,
        tls=tls,
        buckets=buckets,
        workdir=workdir,
        timeout=timeout,
        checks_signatures=False,
        uses_ports=lambda: chosen,
    )
