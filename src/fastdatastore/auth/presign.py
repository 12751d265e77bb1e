"""URLs that carry their signature: who has one may do one thing with one object until it expires."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

if TYPE_CHECKING:
    from fastdatastore.auth.credentials import Credentials
    from fastdatastore.auth.endpoint import Address


def presigned_url(
    credentials: Credentials,
    address: Address,
    key: str,
    method: str,
    expires: int,
    query: tuple[tuple[str, str], ...],
    clock_offset: int,
) -> str:
    """A URL for `method` on `key` for `expires` seconds. By botocore's signer: this is not a hot path.

    Args:
        clock_offset: Seconds to add to this machine's clock.
    """
    from botocore.auth import S3SigV4QueryAuth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials as BotocoreCredentials

    class Signer(S3SigV4QueryAuth):
        def _modify_request_before_signing(self, request: Any) -> None:
            now = datetime.now(UTC) + timedelta(seconds=clock_offset)
            request.context["timestamp"] = now.strftime("%Y%m%dT%H%M%SZ")
            super()._modify_request_before_signing(request)  # type: ignore[misc]

    scheme = "https" if address.tls else "http"
    url = f"{scheme}://{address.host_header}{quote(address.prefix + key, safe='/')}"
    request = AWSRequest(method, url, params=dict(query))
    theirs = BotocoreCredentials(credentials.access_key, credentials.secret_key, credentials.session_token)
    Signer(theirs, "s3", address.region, expires=expires).add_auth(request)
    return str(request.url)
