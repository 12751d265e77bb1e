"""A client whose way to its server has faults on it, and what the server says of the outcome when asked directly."""

from __future__ import annotations

import contextlib
import random
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from fastdatastore.auth.endpoint import EndpointConfig
from fastdatastore.config import MIB, Settings
from fastdatastore.engine.client import Client
from fastdatastore.engine.ranges import ByteRange
from fastdatastore.testing.faults import Fault, FaultProxy
from fastdatastore.testing.servers import RunningServer
from tests.support.clients import FixedCredentials, client_of

__all__ = ["LARGE", "MIDDLING", "PART", "PATIENT", "SMALL", "Place", "Way", "furnished"]

PART = 5 * MIB
LARGE = random.Random(3).randbytes(50 * MIB + 11)
SMALL = LARGE[:20_000]  # comes in one request
MIDDLING = LARGE[: 2 * PART + len(SMALL)]  # three parts
PATIENT = 12  # attempts: where faults are likely, and that they are not the end is what is tested


@dataclass(frozen=True)
class Place:
    """A bucket of a running server, with the objects "small" and "large" in it; `direct` is a botocore client."""

    server: RunningServer
    bucket: str
    direct: Any


@contextlib.contextmanager
def furnished(server: RunningServer) -> Iterator[Place]:
    """Makes a bucket and its objects, once for many tests: a botocore client alone costs half a second."""
    bucket = f"faults-{secrets.token_hex(8)}"
    with contextlib.closing(server.client()) as direct:
        direct.create_bucket(Bucket=bucket)
        client = client_of(server)
        client.run_all([client.put(bucket, "small", SMALL), client.put(bucket, "large", LARGE)])
        yield Place(server, bucket, direct)


@dataclass(frozen=True)
class Way:
    """From a client through a fault proxy to a place; `new` is a key that nothing is stored under yet."""

    place: Place
    proxy: FaultProxy
    new: str = field(default_factory=lambda: f"new-{secrets.token_hex(8)}")

    def client(self, **settings: Any) -> Client:
        """Small parts, little patience."""
        server = self.place.server
        chosen = {"part_size": PART, "stall_timeout": 5.0, "connect_timeout": 1.0} | settings
        endpoint = EndpointConfig(self.proxy.url, server.region, str(self.proxy.ca_file or ""), "path")
        return Client(endpoint, FixedCredentials(server.access_key, server.secret_key), Settings(**chosen))

    def get(self, key: str, byte_range: ByteRange | None = None, **settings: Any) -> bytes:
        client = self.client(**settings)
        return bytes(client.run_one(client.get(self.place.bucket, key, byte_range=byte_range)).content)

    def put(self, content: bytes, **settings: Any) -> None:
        """Under `new`."""
        client = self.client(**settings)
        client.run_one(client.put(self.place.bucket, self.new, content))

    def stored(self, key: str = "") -> bytes | None:
        """What the server has there (under `new`), or None."""
        try:
            reply = self.place.direct.get_object(Bucket=self.place.bucket, Key=key or self.new)
        except self.place.direct.exceptions.NoSuchKey:
            return None
        content: bytes = reply["Body"].read()
        return content

    def uploads(self) -> list[str]:
        """The multipart uploads of `new` that were left behind."""
        listed = self.place.direct.list_multipart_uploads(Bucket=self.place.bucket)
        return [upload["UploadId"] for upload in listed.get("Uploads", ()) if upload["Key"].startswith(self.new)]

    def struck(self, kind: type[Fault]) -> int:
        """How many requests a fault of this kind took effect on."""
        return sum(any(isinstance(fault, kind) for fault in passed.faults) for passed in self.proxy.log)
