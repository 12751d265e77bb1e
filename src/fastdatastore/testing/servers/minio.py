"""MinIO's last release: AGPL-3.0, no longer maintained, still run by many.

`python -m fastdatastore.testing.servers.install minio` builds it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from .launch import Launch, launch
from .ports import HOST, free_ports
from .running import RunningServer

__all__ = ["NAME", "VERSION", "cached_executable", "executable", "start", "why_unavailable"]

NAME = "minio"
# The tip of the archived repository: its last release, RELEASE.2025-10-15T17-29-55Z, and three small fixes. MinIO has
# no tags that Go takes for versions.
VERSION = "v0.0.0-20260212201848-7aac2a2c5b7c"


def cached_executable() -> Path:
    """Where `install minio` puts the binary."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "fastdatastore" / f"minio-{VERSION}"


def executable() -> Path | None:
    """The binary: $FDS_MINIO, `minio` on $PATH, or the cached one."""
    if override := os.environ.get("FDS_MINIO"):
        return Path(override)
    if found := shutil.which("minio"):
        return Path(found)
    return cached_executable() if cached_executable().exists() else None


def why_unavailable() -> str | None:
    """None if it can be started, else a sentence that ends with the command that mends it."""
    found = executable()
    if found is None:
        return "MinIO is not installed; run: python -m fastdatastore.testing.servers.install minio"
    if not os.access(found, os.X_OK):
        return f"MinIO is missing: {found} cannot be executed; run: unset FDS_MINIO"
    return None


def start(
    *,
    tls: bool = False,
    buckets: Sequence[str] = (),
    workdir: Path | None = None,
    timeout: float = 60.0,
    env: Mapping[str, str] | None = None,
) -> RunningServer:
    """Starts it on one directory.

    Args:
        tls: serve https, with a certificate by an authority made for it.
        buckets: to create.
        workdir: where to make its temporary directory.
        timeout: seconds until it must answer.
        env: more variables for it, such as MINIO_IDENTITY_OPENID_*.
    """
    chosen: list[int] = []

    def attempt(started: Launch) -> int:
        chosen[:] = port, console = free_ports(2)
        data, certs = started.directory / "data", started.directory / "certs"
        data.mkdir()
        certs.mkdir()
        if started.certificate:
            shutil.copy(started.certificate.cert_file, certs / "public.crt")
            shutil.copy(started.certificate.key_file, certs / "private.key")
        variables = {
            "MINIO_ROOT_USER": started.access_key,
            "MINIO_ROOT_PASSWORD": started.secret_key,
            "MINIO_BROWSER": "off",
            "MINIO_UPDATE": "off",
            **(env or {}),
        }
        argv: list[str | Path] = [
            executable() or "minio",
            "server",
            "--quiet",
            f"--address={HOST}:{port}",
            f"--console-address={HOST}:{console}",
            f"--certs-dir={certs}",
            data,
        ]
        started.processes.spawn("minio", argv, env=variables)
        started.wait_http("minio", port, "/minio/health/ready", (200,))
        return port

    return launch(
        NAME,
        attempt,
        tls=tls,
        buckets=buckets,
        workdir=workdir,
        timeout=timeout,
        checks_signatures=True,
        uses_ports=lambda: chosen,
    )
