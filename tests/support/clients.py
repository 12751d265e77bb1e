"""Clients for tests: of a running server or of a script, with nothing taken from the environment."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from fastdatastore import S3
from fastdatastore.auth.credentials import CredentialProvider, Credentials
from fastdatastore.auth.endpoint import EndpointConfig
from fastdatastore.config import Settings
from fastdatastore.engine.client import Client
from fastdatastore.testing.servers import RunningServer

FAKE = Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")


class FixedCredentials(CredentialProvider):
    """Always the same ones. Pickles with them, unlike a real provider."""

    def __init__(self, access_key: str, secret_key: str) -> None:
        super().__init__()
        self._fixed = (access_key, secret_key)

    def __getstate__(self) -> dict[str, Any]:
        return {"fixed": self._fixed}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(*state["fixed"])  # type: ignore[misc]

    def snapshot(self) -> Credentials:
        return Credentials(*self._fixed)

    def renew(self, rejected: Credentials) -> Credentials:
        return rejected


def client_of(server: RunningServer, credentials: CredentialProvider | None = None, **settings: Any) -> Client:
    """An engine client of a running server."""
    endpoint = EndpointConfig(server.url, server.region, str(server.ca_file or ""), "path")
    return Client(
        endpoint,
        credentials or FixedCredentials(server.access_key, server.secret_key),
        replace(Settings(), **settings),
    )


def client_at(url: str, credentials: CredentialProvider | None = None, **settings: Any) -> Client:
    """An engine client of a scripted server; small parts, and no long patience."""
    chosen = {"part_size": 5 << 20, "stall_timeout": 5.0, "connect_timeout": 2.0} | settings
    return Client(
        EndpointConfig(url, "us-east-1", "", "path"),
        credentials or FixedCredentials(FAKE.access_key, FAKE.secret_key),
        replace(Settings(), **chosen),
    )


def s3_of(client: Client, bucket: str, tmproot: Path, prefix: str = "") -> S3:
    """An S3 rooted at a bucket, or at a prefix in it."""
    return S3(tmproot=str(tmproot), s3root=f"s3://{bucket}/{prefix}".rstrip("/"), client=client)
