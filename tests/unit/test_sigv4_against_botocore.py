"""The signature on the wire is the one that botocore computes for the same request."""

from __future__ import annotations

import hashlib
import re
from typing import Any

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.compat import get_current_datetime
from botocore.credentials import Credentials as BotocoreCredentials

from fastdatastore.auth.credentials import CredentialProvider, Credentials
from fastdatastore.engine.head import HeadJob
from fastdatastore.engine.job import Job
from fastdatastore.engine.listing import ListJob
from fastdatastore.engine.ranges import ByteRange
from tests.support.clients import FAKE, client_at
from tests.support.scripted_server import Received, Reply, ScriptedServer, in_turn

LISTING = b"<ListBucketResult></ListBucketResult>"
KEYS = ["key", "a/b c", "a+b", "a//b", "./a/../b", "100%/%41", "ü/🌍", "a?b=c#d&e", "~-_.!*'()", "trail/", "a\nb"]


class Fixed(CredentialProvider):
    def __init__(self, token: str | None) -> None:
        super().__init__()
        self._snapshot = Credentials(FAKE.access_key, FAKE.secret_key, token)

    def snapshot(self) -> Credentials:
        return self._snapshot


def _expected(received: Received, url: str, token: str | None) -> str:
    """What botocore writes into Authorization for what the server received."""
    ours = received.headers["authorization"]
    signed = re.search("SignedHeaders=([^,]+)", ours)
    assert signed
    headers = {name: received.headers[name] for name in signed[1].split(";")}
    request: Any = AWSRequest(method=received.method, url=url + received.target, headers=headers, data=received.body)
    request.context.update({"timestamp": headers["x-amz-date"], "payload_signing_enabled": True})
    auth = S3SigV4Auth(BotocoreCredentials(FAKE.access_key, FAKE.secret_key, token), "s3", "us-east-1")
    canonical = auth.canonical_request(request)
    return str(
        f"AWS4-HMAC-SHA256 Credential={auth.scope(request)}, SignedHeaders={signed[1]}, "
        f"Signature={auth.signature(auth.string_to_sign(request, canonical), request)}"
    )


def _send(job_of: Any, token: str | None = None) -> tuple[Received, str]:
    with ScriptedServer(in_turn(Reply(200, LISTING))) as server:
        client = client_at(server.url, Fixed(token), attempts=1)
        list(client.run([job_of(client)]))
        return server.requests[0], server.url


JOBS: dict[str, Any] = {
    "get": lambda client, key: client.get("bucket", key),
    "range": lambda client, key: client.get("bucket", key, byte_range=ByteRange(5, 10)),
    "head": lambda client, key: HeadJob("bucket", key),
    "put": lambda client, key: client.put("bucket", key, b"content", (("x-amz-meta-note", "grüße"),)),
    "create": lambda client, key: client.put("bucket", key, bytes(11 << 20)),
    "list": lambda client, key: ListJob("bucket", key, recursive=False),
}


@pytest.mark.parametrize("name", JOBS)
@pytest.mark.parametrize("key", KEYS)
def test_the_signature_is_botocores(name: str, key: str) -> None:
    def make(client: Any) -> Job:
        job: Job = JOBS[name](client, key)
        return job

    received, url = _send(make)
    assert received.headers["authorization"] == _expected(received, url, None)


def test_a_session_token_is_sent_and_signed() -> None:
    received, url = _send(lambda client: client.get("bucket", "key"), "the-token")
    assert received.headers["x-amz-security-token"] == "the-token"
    assert "x-amz-security-token" in received.headers["authorization"]
    assert received.headers["authorization"] == _expected(received, url, "the-token")


def test_over_plain_http_the_payload_is_signed_until_checksums_are_known() -> None:
    received, _ = _send(lambda client: client.put("bucket", "key", b"content"))
    assert received.headers["x-amz-content-sha256"] == hashlib.sha256(b"content").hexdigest()


def test_what_must_be_signed_is_signed() -> None:
    received, _ = _send(lambda client: client.put("bucket", "key", b"content"))
    signed = re.search("SignedHeaders=([^,]+)", received.headers["authorization"])
    assert signed
    assert {"host", "x-amz-content-sha256", "x-amz-date", "x-amz-checksum-crc64nvme"} <= set(signed[1].split(";"))
    assert abs(_stamp(received.headers["x-amz-date"]) - get_current_datetime().timestamp()) < 60


def _stamp(text: str) -> float:
    from datetime import UTC, datetime

    return datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()
