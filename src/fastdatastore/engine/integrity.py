"""Checksums: the three that the data plane takes, S3's headers for them, and what a reply lets us verify."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from fastdatastore.engine.planes.local import local as _native

CHECKSUM_PREFIX = "x-amz-checksum-"
METADATA_PREFIX = "x-amz-meta-fds-"

# Our own choice first: it is a full-object checksum everywhere, for any object.
ALGORITHMS: dict[str, int] = {
    "crc64nvme": _native.CRC64NVME,
    "crc32c": _native.CRC32C,
    "crc32": _native.CRC32,
}
WIDTHS: dict[str, int] = {"crc64nvme": 8, "crc32c": 4, "crc32": 4}
PREFERRED = "crc64nvme"
_HEADERS = {algorithm: CHECKSUM_PREFIX + algorithm for algorithm in ALGORITHMS}


def encode(algorithm: str, value: int) -> str:
    """As S3 writes it: base64 of the big-endian bytes."""
    return base64.b64encode(value.to_bytes(WIDTHS[algorithm], "big")).decode("ascii")


def decode(algorithm: str, text: str) -> int | None:
    """The value of a checksum header, or None if it is no full-object checksum of this algorithm."""
    try:
        raw = base64.b64decode(text, validate=True)
    except ValueError:  # a composite checksum ends in "-N"
        return None
    return int.from_bytes(raw, "big") if len(raw) == WIDTHS[algorithm] else None


@dataclass(frozen=True)
class Expected:
    """The checksum that an object's bytes must have.

    Attributes:
        algorithm: A key of ALGORITHMS.
        value: The CRC.
        source: What to call the check: "crc64nvme" (the server's) or "crc64nvme-metadata" (our own, kept with it).
    """

    algorithm: str
    value: int
    source: str


def expected_of(headers: Mapping[str, str]) -> Expected | None:
    """What the headers of a whole object's reply promise; None when they promise nothing that we can check."""
    if headers.get(CHECKSUM_PREFIX + "type", "FULL_OBJECT").upper() == "FULL_OBJECT":
        for algorithm, name in _HEADERS.items():
            text = headers.get(name)
            value = decode(algorithm, text) if text else None
            if value is not None:
                return Expected(algorithm, value, algorithm)
    text = headers.get(METADATA_PREFIX + PREFERRED)
    value = decode(PREFERRED, text) if text else None
    return Expected(PREFERRED, value, f"{PREFERRED}-metadata") if value is not None else None


def recoded(headers: Mapping[str, str], has_length: bool) -> str:
    """What shows that something on the way has compressed or decompressed a body; "" if nothing does.

    An object may well be stored compressed, with its Content-Encoding: then these are its bytes.

    Args:
        has_length: The reply has a Content-Length; who compresses on the way cannot know one.
    """
    encoding = headers.get("content-encoding", "").lower()
    stored = headers.get("x-goog-stored-content-encoding", encoding).lower()  # Google's "transcoding"
    if stored != encoding and {stored, encoding} != {"", "identity"}:
        return f"the object is stored as {stored or 'identity'} and was sent as {encoding or 'identity'}"
    if headers.get("warning", "").startswith("214"):  # RFC 7234, 5.5: "Transformation Applied"
        return f"the reply says so (Warning: {headers['warning'][:100]})"
    if encoding in ("", "identity", "aws-chunked"):
        return ""
    etag = headers.get("etag", "")
    if etag.startswith("W/") or etag.rstrip('"').endswith(("-gzip", "-br", "-zstd", ":gzip")):
        return f"the reply has Content-Encoding {encoding} and the ETag {etag} of a derived form"
    return "" if has_length else f"the reply has Content-Encoding {encoding}, no length and no checksum to tell by"


def combine(algorithm: str, pieces: list[tuple[int, int, int]]) -> int:
    """The CRC of the whole from (offset, length, crc) of adjacent pieces, in any order."""
    number = ALGORITHMS[algorithm]
    whole = 0
    for _, length, crc in sorted(pieces):
        whole = _native.crc_combine(number, whole, crc, length)
    return whole


def multipart_etag(etags: Iterable[str]) -> str:
    """What S3 makes of the ETags of the parts, where these are MD5 digests; "" where they are not."""
    plain = [etag.strip('"') for etag in etags]
    try:
        digest = hashlib.md5(b"".join(map(bytes.fromhex, plain)), usedforsecurity=False).hexdigest()
    except ValueError:
        return ""
    return f"{digest}-{len(plain)}"


def is_etag_of(etag: str, parts: Iterable[str]) -> bool:
    """Whether this ETag shows that an object is what parts with these ETags make."""
    expected = multipart_etag(parts)
    return bool(expected) and etag.strip('"') == expected
