"""Where a benchmark works: a server that it starts, or a bucket of the user's, under a prefix of its own."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from fastdatastore.auth.credentials import (
    CredentialProvider,
    Credentials,
    StaticCredentials,
    configured_endpoint,
)
from fastdatastore.auth.endpoint import EndpointConfig
from fastdatastore.engine.client import Client
from fastdatastore.testing import servers
from fastdatastore.testing.servers import RunningServer

_BUCKET = "bench"


@dataclass(frozen=True)
class Target:
    """A bucket and who talks to it.

    Attributes:
        prefix: Random; every key that the benchmark makes begins with it.
        server: What we started, and throw away afterwards with all that is in it; None: somebody else's.
        has_pattern: Any key can be read, nothing need be uploaded first (the null server's mode "fixed").
    """

    client: Client
    bucket: str
    prefix: str
    server: RunningServer | None = None
    has_pattern: bool = False

    @property
    def name(self) -> str:
        """For people: which server this is."""
        return self.server.name if self.server else str(self.client.remote.endpoint)

    @property
    def is_tls(self) -> bool:
        return self.client.remote.is_tls


def new_prefix() -> str:
    return f"fds-bench-{secrets.token_hex(8)}/"


def existing(endpoint_url: str | None, bucket: str) -> Target:
    """A bucket of the user's, with credentials from the usual AWS variables and files.

    Args:
        endpoint_url: None takes what these say, too.
    """
    credentials = CredentialProvider()
    endpoint = configured_endpoint(credentials)
    if endpoint_url is not None:
        endpoint = EndpointConfig(endpoint_url, endpoint.region, endpoint.ca_file, endpoint.addressing)
    return Target(Client(endpoint, credentials), bucket, new_prefix())


@contextmanager
def started(name: str, *, tls: bool, puts: bool, gets: bool, total: int) -> Iterator[Target]:
    """A server that lives as long as the block.

    Args:
        name: One of servers.NAMES.
        puts, gets: What will be measured.
        total: Bytes that it will have to keep.

    Raises:
        ServerUnavailable, ServerStartFailed: See fastdatastore.testing.servers.
    """
    options: dict[str, Any] = {"buckets": (_BUCKET,)}
    has_pattern = False
    if name == "null":
        has_pattern = gets and not puts
        options["mode"] = "fixed" if has_pattern else "store" if gets else "sink"
        # An object that replaces another is there beside it for a moment.
        options["memory_limit"] = 2 * total + (64 << 20)
    with servers.start(name, tls=tls, **options) as server:
        endpoint = EndpointConfig(server.url, server.region, str(server.ca_file or ""), "path")
        client = Client(endpoint, StaticCredentials(Credentials(server.access_key, server.secret_key)))
        yield Target(client, _BUCKET, new_prefix(), server, has_pattern)
