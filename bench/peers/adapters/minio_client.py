"""minio-py: one stream down, parallel parts up. Options: `part`, `uploads`."""

from __future__ import annotations

import io
import ssl
from typing import Any

import urllib3
from minio import Minio

from bench.peers.adapter import ThreadedAdapter


class Client(ThreadedAdapter):
    distribution = "minio"

    def open(self) -> None:
        endpoint = self.endpoint
        context = ssl.create_default_context(cafile=endpoint.ca_file) if endpoint.tls else None
        self.minio = Minio(
            endpoint.netloc,
            endpoint.access_key,
            endpoint.secret_key,
            secure=endpoint.tls,
            region=endpoint.region,
            http_client=urllib3.PoolManager(maxsize=self.threads, ssl_context=context),
        )
        self.settings: dict[str, Any] = {}
        if "part" in self.options:
            self.settings = {"part_size": self.options["part"], "num_parallel_uploads": self.options["uploads"]}

    def fetch_one(self, bucket: str, key: str, size: int) -> int:
        response = self.minio.get_object(bucket, key)
        try:
            return len(response.read())
        finally:
            response.close()
            response.release_conn()

    def store_one(self, bucket: str, key: str, payload: bytes) -> None:
        self.minio.put_object(bucket, key, io.BytesIO(payload), len(payload), **self.settings)
