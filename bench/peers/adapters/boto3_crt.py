"""boto3[crt]: s3transfer's CRT transfer manager.

boto3 itself makes one with TLS to AWS only; so does the AWS command line, by these same calls, for other endpoints.

Options: `part`.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import botocore.session
from s3transfer.crt import (
    BotocoreCRTCredentialsWrapper,
    BotocoreCRTRequestSerializer,
    CRTTransferManager,
    create_s3_crt_client,
)

from bench.peers.adapter import Adapter


class Client(Adapter):
    distribution = "boto3"

    def open(self) -> None:
        session = botocore.session.Session()
        endpoint = self.endpoint
        extra: dict[str, Any] = {"part_size": self.options["part"]} if "part" in self.options else {}
        client = create_s3_crt_client(
            endpoint.region,
            BotocoreCRTCredentialsWrapper(session.get_credentials()).to_crt_credentials_provider(),
            use_ssl=endpoint.tls,
            verify=endpoint.ca_file,
            **extra,
        )
        serializer = BotocoreCRTRequestSerializer(
            session, {"region_name": endpoint.region, "endpoint_url": endpoint.url}
        )
        self.manager = CRTTransferManager(client, serializer)

    def fetch(self, bucket: str, keys: Sequence[str], size: int) -> int:
        started = []
        for key in keys:
            target = io.BytesIO()
            started.append((self.manager.download(bucket, key, target), target))
        received = 0
        while started:
            future, target = started.pop(0)
            future.result()
            received += target.getbuffer().nbytes
        return received

    def store(self, bucket: str, keys: Sequence[str], payload: bytes | Path) -> None:
        assert isinstance(payload, bytes)
        for future in [self.manager.upload(io.BytesIO(payload), bucket, key) for key in keys]:
            future.result()
