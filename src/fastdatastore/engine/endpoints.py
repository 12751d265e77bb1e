"""What an endpoint can do: a table of what no reply tells, and what has been learnt from replies.

What needs neither, because every endpoint is asked in the way that all understand:

- Ceph 16 and others fail at trailers (`aws-chunked`): checksums go in the head.
- MinIO wants the parts' checksums in CompleteMultipartUpload: they are always there where the server keeps checksums.
- An upload that is gone is NoSuchUpload, at Ceph NoSuchKey: it is the 404 that counts.
- Ceph 16 answers CompleteMultipartUpload with an empty ETag: nothing is concluded from one.
- SeaweedFS keeps others' `Content-Encoding: aws-chunked`: nothing is decoded by that header.
- moto says ListPartsResponse for ListPartsResult: both are read.
- MinIO takes the prefix of ListMultipartUploads for a whole key: what does not fit is left out after the reply.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from fastdatastore.config import MIB


@dataclass(frozen=True)
class Limits:
    """What an endpoint takes of a multipart upload. The defaults are Amazon's.

    Attributes:
        max_parts: Most parts of an upload.
        part_size: Bytes that a part should have at least; 0: whatever the settings say.
        equal_parts: All parts but the last must be of one size. Those of an object of known size are so anyway.
    """

    max_parts: int = 10_000
    part_size: int = 0
    equal_parts: bool = False


_BY_HOST: tuple[tuple[str, Limits], ...] = (
    # "Multipart upload", Cloudflare R2 documentation: "All parts except the last one must be the same size".
    (r"\.r2\.cloudflarestorage\.com$", Limits(equal_parts=True)),
    # "Managing multipart uploads", Scaleway documentation: "1 to 1000 parts per object".
    (r"\.scw\.cloud$", Limits(max_parts=1000)),
    # Storj keeps segments of 64 MiB, and every smaller part as a segment of its own.
    (r"(^|\.)gateway\.([a-z0-9-]+\.)?storjshare\.io$", Limits(part_size=64 * MIB)),
)


def limits_of(host: str) -> Limits:
    """What the endpoint at `host` takes."""
    return next((limits for pattern, limits in _BY_HOST if re.search(pattern, host, re.IGNORECASE)), Limits())


@dataclass
class Learnt:
    """What the replies concerning one bucket have shown. Whoever makes a request may set it; later replies count.

    Attributes:
        checksums: Whether x-amz-checksum-* are kept: None until a reply has shown it.
        bare_if_match: If-Match is understood only without the ETag's quotes (Ceph 16).
        keeps_existing: Operations at which If-None-Match has once been seen to protect an object. A header that is
            ignored leaves no trace, so nothing else shows that it is not.
    """

    checksums: bool | None = None
    bare_if_match: bool = False
    keeps_existing: set[str] = field(default_factory=set)
