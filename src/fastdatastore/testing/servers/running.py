"""A server that runs: where it is, how to sign in, what it has used, how to stop it."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from . import usage
from .errors import ServerUnavailable
from .processes import Processes, log_excerpt

__all__ = ["RunningServer"]


@dataclass(frozen=True, kw_only=True)
class RunningServer:
    """An S3 server of ours on loopback. A context manager: it is stopped at the end of the block.

    It ends with the process that started it in any case, even when that is killed, and its files with it.

    Attributes:
        name: which server, one of `NAMES`.
        url: the endpoint, without a path: `http://127.0.0.1:PORT` or `https://…`.
        access_key: made at random for this start.
        secret_key: made at random for this start.
        region: what to sign with.
        ca_file: with TLS, the PEM file of the authority to trust; else None.
        checks_signatures: whether it refuses a wrong secret (moto and the null server take any).
    """

    name: str
    url: str
    access_key: str
    secret_key: str = field(repr=False)
    region: str
    ca_file: Path | None
    checks_signatures: bool
    processes: Processes = field(repr=False, compare=False)

    @property
    def host(self) -> str:
        """The host in `url`."""
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        """The port in `url`."""
        return urlsplit(self.url).port or 0

    @property
    def pids(self) -> tuple[int, ...]:
        """The pids of its processes (Ceph has three)."""
        return tuple(self.processes.pids.values())

    @property
    def directory(self) -> Path:
        """Its temporary directory: data, logs, certificates."""
        return self.processes.directory

    def cpu_seconds(self) -> float:
        """User and system CPU time of its processes so far, in seconds."""
        return usage.cpu_seconds(self.pids)

    def peak_rss_bytes(self) -> int:
        """The peak resident memory of its processes so far, in bytes (the present one on macOS)."""
        return usage.peak_rss_bytes(self.pids)

    def log_excerpt(self) -> str:
        """The first and last lines of its processes' logs."""
        return "\n".join(f"{name}:\n{log_excerpt(self.processes.log(name))}" for name in self.processes.pids)

    def env(self) -> dict[str, str]:
        """The AWS_* variables that make an S3 client talk to this server."""
        variables = {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
        }
        if self.ca_file is not None:
            variables["AWS_CA_BUNDLE"] = str(self.ca_file)
        return variables

    def client(self, **settings: Any) -> Any:
        """A botocore client for this server that takes nothing from the environment or from files.

        Checksums are sent only where S3 requires them, as Ceph refuses botocore's default over TLS. One try.

        Args:
            settings: beside or instead of the ones made here, as for botocore's `create_client`.

        Raises:
            ServerUnavailable: botocore is not installed.
        """
        try:
            import botocore.session
            from botocore.config import Config
        except ImportError:
            raise ServerUnavailable("botocore is not installed; run: python -m pip install botocore") from None
        session = botocore.session.Session(
            session_vars={
                "profile": (None, None, None, None),
                "config_file": (None, None, os.devnull, None),
                "credentials_file": (None, None, os.devnull, None),
            }
        )
        config = Config(
            s3={"addressing_style": "path"},
            proxies={},
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            retries={"total_max_attempts": 1},
        )
        defaults: dict[str, Any] = {
            "endpoint_url": self.url,
            "aws_access_key_id": self.access_key,
            "aws_secret_access_key": self.secret_key,
            "region_name": self.region,
            "verify": str(self.ca_file) if self.ca_file else None,
            "config": config,
        }
        return session.create_client("s3", **(defaults | settings))

    def create_bucket(self, name: str) -> None:
        """Creates a bucket.

        Args:
            name: 3 to 63 characters; SeaweedFS and others refuse what AWS would.

        Raises:
            ServerUnavailable: botocore is not installed.
            botocore.exceptions.ClientError: the server refused.
        """
        client = self.client()
        try:
            client.create_bucket(Bucket=name)
        finally:
            client.close()

    def stop(self) -> None:
        """Kills its processes and removes its files; harmless the second time."""
        self.processes.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
