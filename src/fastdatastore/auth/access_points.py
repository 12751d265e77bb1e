"""Access points, which take the place of a bucket and are named by their ARN.

"Naming a resource by its ARN" and "Access point ARNs", Amazon S3 user guide.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from fastdatastore.errors import ConfigurationError, InvalidKey

_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_ARN = re.compile(rf"arn:(aws[a-z-]*):s3:([a-z0-9-]+):(\d{{12}}):accesspoint[:/]({_LABEL})")
# Of a URL: up to the end of the resource, whose name may follow a "/" of its own.
_IN_URL = re.compile(r"(arn:[^/]*:accesspoint/[^/]*|arn:[^/]*)(?:/(.*))?", re.DOTALL)


@dataclass(frozen=True)
class AccessPoint:
    """An access point of one bucket."""

    region: str
    account: str
    name: str


def split_bucket(text: str) -> tuple[str, str]:
    """(bucket's name or ARN, key) of what follows s3:// in a URL."""
    if match := _IN_URL.fullmatch(text):
        return match[1], match[2] or ""
    bucket, _, key = text.partition("/")
    return bucket, key


def access_point(bucket: str) -> AccessPoint | None:
    """The access point that an ARN names; None for the name of a bucket, or an access point's alias.

    Raises:
        ConfigurationError: S3 reaches it by another protocol than this client speaks.
        InvalidKey: An ARN of something else.
    """
    if not bucket.startswith("arn:"):
        return None
    if ".mrap" in bucket or re.match(r"arn:aws[a-z-]*:s3::", bucket):
        raise ConfigurationError(
            f"{bucket} is a multi-region access point, which needs signatures (SigV4A) that are not supported; use "
            "the ARN of an access point in one region, or the bucket's name"
        )
    match = _ARN.fullmatch(bucket)
    if match is None:
        raise InvalidKey(f"{bucket!r} is not the ARN of an S3 access point: arn:aws:s3:REGION:ACCOUNT:accesspoint/NAME")
    return AccessPoint(match[2], match[3], match[4])
