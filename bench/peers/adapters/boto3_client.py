"""boto3: get_object and put_object, or its transfer manager for one large object.

Options: `stream` (one GET of the whole, read at once), `part`, `threads`.
"""

from __future__ import annotations

import io
from typing import Any

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config

from bench.peers.adapter import ThreadedAdapter

LARGE = 64 << 20


class Client(ThreadedAdapter):
    distribution = "boto3"

    def open(self) -> None:
        threads = int(self.options.get("threads", self.threads))
        self.s3 = boto3.client("s3", config=Config(max_pool_connections=threads))
        transfer: dict[str, Any] = {"preferred_transfer_client": "classic"}
        if "part" in self.options:
            transfer |= {"multipart_chunksize": self.options["part"], "max_concurrency": threads}
        self.transfer = TransferConfig(**transfer)

    def list_keys(self, bucket: str, directory: str) -> int:
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"{directory}/")
        return len([found for page in pages for found in page["Contents"]])

    def fetch_one(self, bucket: str, key: str, size: int) -> int:
        if size < LARGE or self.options.get("stream"):
            return len(self.s3.get_object(Bucket=bucket, Key=key)["Body"].read())
        target = io.BytesIO()
        self.s3.download_fileobj(bucket, key, target, Config=self.transfer)
        return target.getbuffer().nbytes  # its position is that of the last part to come

    def store_one(self, bucket: str, key: str, payload: bytes) -> None:
        if len(payload) < LARGE:
            self.s3.put_object(Bucket=bucket, Key=key, Body=payload)
        else:
            self.s3.upload_fileobj(io.BytesIO(payload), bucket, key, Config=self.transfer)
