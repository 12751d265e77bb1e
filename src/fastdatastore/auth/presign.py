"""URLs that carry their signature: who has one may do one thing with one object until it expires."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from fastdatastore.auth.credentials import Credentials
    from fastdatastore.auth.endpoint import Address


def presigned_url(
    credentials: Credentials, address: Address, key: str, method: str, expires: int, query: tuple[tuple[str, str], ...]
) -> str:
    """A URL for `method` on `key` for `expires` seconds. By botocore's signer: this is not a hot path."""
    from botocore.auth import S3SigV4QueryAuth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials as BotocoreCredentials

    scheme = "https" if address.tls else "http"
    url = f"{scheme}://{address.host_header}{quote(address.prefix + key, safe='/')}"
    request = AWSRequest(method, url, params=dict(query))
    theirs = BotocoreCredentials(credentials.access_key, credentials.secret_key, credentials.session_token)
    S3SigV4QueryAuth(theirs, "s3", address.region, expires=expires).add_auth(request)
    return str(request.url)
