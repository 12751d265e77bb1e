"""Signs a request by botocore's SigV4."""

from __future__ import annotations

import hashlib
import time
from typing import TYPE_CHECKING, Any

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotocoreCredentials

if TYPE_CHECKING:
    from fastdatastore.engine.planes.portable.endpoint import Credentials
    from fastdatastore.engine.planes.portable.order import Order

UNSIGNED_PAYLOAD = "UNSIGNED-PAYLOAD"
_SHA256_OF_NOTHING = hashlib.sha256().hexdigest()

Headers = list[tuple[str, str]]


class _Signer(S3SigV4Auth):
    """botocore's, but what is said of the payload is decided by the order and the clock may be set."""

    def __init__(self, credentials: Credentials, payload_hash: str, clock_offset: int) -> None:
        key = BotocoreCredentials(credentials.access_key, credentials.secret_key, credentials.session_token)
        super().__init__(key, credentials.service, credentials.region)
        self._payload_hash = payload_hash
        self._clock_offset = clock_offset

    def payload(self, request: Any) -> str:
        return self._payload_hash

    def _modify_request_before_signing(self, request: Any) -> None:
        now = time.gmtime(time.time() + self._clock_offset)
        request.context["timestamp"] = time.strftime("%Y%m%dT%H%M%SZ", now)
        super()._modify_request_before_signing(request)  # type: ignore[misc]  # not in the stubs


def signed_headers(order: Order, url: str, headers: Headers) -> Headers:
    """`headers` and those that sign them. `url` is encoded as it will be sent."""
    if order.credentials is None:
        return headers
    request = AWSRequest(method=order.method, url=url)
    for name, value in headers:
        request.headers[name] = value
    _Signer(order.credentials, _payload_hash(order), order.clock_offset).add_auth(request)
    return list(request.headers.items())


def _payload_hash(order: Order) -> str:
    if not order.body_size:
        return _SHA256_OF_NOTHING
    if not order.sign_payload:
        return UNSIGNED_PAYLOAD
    digest = hashlib.sha256()
    for view in order.body:
        digest.update(view)
    return digest.hexdigest()
