"""awscrt: the AWS Common Runtime's S3 client, asked directly.

Options: `part`, `connections`, `at_once` (objects), `checksum` (a CRC-64/NVME with uploads, and downloads verified).
"""

from __future__ import annotations

import io
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from awscrt.auth import AwsCredentialsProvider
from awscrt.http import HttpHeaders, HttpRequest
from awscrt.io import ClientTlsContext, TlsContextOptions
from awscrt.s3 import (
    S3ChecksumAlgorithm,
    S3ChecksumConfig,
    S3ChecksumLocation,
    S3Client,
    S3RequestTlsMode,
    S3RequestType,
    create_default_s3_signing_config,
)

from bench.peers.adapter import Adapter

AT_ONCE = 128  # objects; it queues without a bound of its own


class Client(Adapter):
    distribution = "awscrt"

    def open(self) -> None:
        endpoint = self.endpoint
        extra: dict[str, Any] = {}
        if "part" in self.options:
            extra |= {"part_size": self.options["part"]}
        if "connections" in self.options:
            extra |= {"max_active_connections_override": self.options["connections"]}
        if endpoint.tls:
            trust = TlsContextOptions()
            trust.override_default_trust_store_from_path(None, endpoint.ca_file)
            extra |= {"tls_connection_options": ClientTlsContext(trust).new_connection_options()}
        provider = AwsCredentialsProvider.new_static(endpoint.access_key, endpoint.secret_key)
        self.client = S3Client(
            region=endpoint.region,
            tls_mode=S3RequestTlsMode.ENABLED if endpoint.tls else S3RequestTlsMode.DISABLED,
            signing_config=create_default_s3_signing_config(region=endpoint.region, credential_provider=provider),
            **extra,
        )

    def fetch(self, bucket: str, keys: Sequence[str], size: int) -> int:
        received = []

        def start(key: str, done: Any) -> Any:
            target = bytearray(size)

            def on_body(chunk: Any, offset: int, **_: Any) -> None:
                target[offset : offset + len(chunk)] = chunk
                received.append(len(chunk))

            request = HttpRequest("GET", f"/{bucket}/{key}", HttpHeaders([("host", self.endpoint.netloc)]))
            checks = S3ChecksumConfig(validate_response=True) if self.options.get("checksum") else None
            return self.client.make_request(
                type=S3RequestType.GET_OBJECT, request=request, on_body=on_body, on_done=done, checksum_config=checks
            )

        self._run(keys, start)
        return sum(received)

    def store(self, bucket: str, keys: Sequence[str], payload: bytes | Path) -> None:
        assert isinstance(payload, bytes)

        def start(key: str, done: Any) -> Any:
            headers = HttpHeaders([("host", self.endpoint.netloc), ("content-length", str(len(payload)))])
            request = HttpRequest("PUT", f"/{bucket}/{key}", headers, io.BytesIO(payload))
            checks = None
            if self.options.get("checksum"):
                checks = S3ChecksumConfig(algorithm=S3ChecksumAlgorithm.CRC64NVME, location=S3ChecksumLocation.TRAILER)
            return self.client.make_request(
                type=S3RequestType.PUT_OBJECT, request=request, on_done=done, checksum_config=checks
            )

        self._run(keys, start)

    def _run(self, keys: Sequence[str], start: Any) -> None:
        """Keeps a number of objects under way; raises the first error."""
        at_once = int(self.options.get("at_once", AT_ONCE))
        room, errors, started = threading.Semaphore(at_once), [], []

        def done(error: Exception | None, **_: Any) -> None:
            if error is not None:
                errors.append(error)
            room.release()

        for key in keys:
            room.acquire()
            started.append(start(key, done))
            if len(started) > at_once:
                started = [request for request in started if not request.finished_future.done()]
        for request in started:
            request.finished_future.result()
        if errors:
            raise errors[0]
