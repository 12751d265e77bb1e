"""presign: a URL for somebody without credentials. Nothing is sent for it."""

from __future__ import annotations

from fastdatastore.auth.presign import presigned_url
from fastdatastore.engine.request import Pairs, version_query
from fastdatastore.errors import ConfigurationError
from fastdatastore.s3.context import Context
from fastdatastore.s3.verbs.arguments import checked_version

# "Authenticating requests: using query parameters", Amazon S3 API reference.
LONGEST = 7 * 86400
METHODS = ("GET", "PUT")


def presign(at: Context, key: str | None, expires: int, method: str, version_id: str | None) -> str:
    place = at.root.place(key)
    if method not in METHODS:
        raise ConfigurationError(f"method must be GET or PUT, got {method!r}")
    if not isinstance(expires, int) or isinstance(expires, bool) or not 1 <= expires <= LONGEST:
        raise ConfigurationError(f"expires must be whole seconds, 1 to {LONGEST:,} (7 days), got {expires!r}")
    if at.client.options.customer_key is not None:
        raise ConfigurationError(
            "who holds the URL would need the customer_key, too; presign what is encrypted otherwise"
        )
    version = checked_version(version_id)
    if version and method == "PUT":
        raise ConfigurationError("a put makes a new version; version_id is for GET")
    remote = at.client.remote
    query: Pairs = version_query(version) + at.client.options.headers("GetObject")
    address = remote.address(place.bucket)
    return presigned_url(remote.snapshot(), address, place.key, method, expires, query, remote.clock_offset)
