"""A botocore plugin: what is uploaded without a content type gets the one that S3 itself would give it."""

from __future__ import annotations

from typing import Any


def initialize_client_plugin(client: Any) -> None:
    """What botocore calls for each client that it makes."""
    for operation in ("PutObject", "CreateMultipartUpload"):
        client.meta.events.register(f"provide-client-params.s3.{operation}", _give)


def _give(params: dict[str, Any], **_: Any) -> None:
    params.setdefault("ContentType", "binary/octet-stream")
