"""Which S3 operation a request is, told from its method, path, query and headers (path-style addressing)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote

__all__ = ["OPERATIONS", "Call", "call_of"]

# (method, a parameter of the query, or "" without any of those listed) → operation. The first that fits counts.
_SERVICE = (("GET", "", "ListBuckets"),)
_BUCKET = (
    ("GET", "uploads", "ListMultipartUploads"),
    ("GET", "location", "GetBucketLocation"),
    ("GET", "versioning", "GetBucketVersioning"),
    ("GET", "versions", "ListObjectVersions"),
    ("GET", "list-type", "ListObjectsV2"),
    ("GET", "", "ListObjects"),
    ("HEAD", "", "HeadBucket"),
    ("PUT", "", "CreateBucket"),
    ("DELETE", "", "DeleteBucket"),
    ("POST", "delete", "DeleteObjects"),
)
_OBJECT = (
    ("GET", "uploadId", "ListParts"),
    ("GET", "attributes", "GetObjectAttributes"),
    ("GET", "tagging", "GetObjectTagging"),
    ("GET", "", "GetObject"),
    ("HEAD", "", "HeadObject"),
    ("PUT", "uploadId", "UploadPart"),
    ("PUT", "tagging", "PutObjectTagging"),
    ("PUT", "", "PutObject"),
    ("POST", "uploads", "CreateMultipartUpload"),
    ("POST", "uploadId", "CompleteMultipartUpload"),
    ("DELETE", "uploadId", "AbortMultipartUpload"),
    ("DELETE", "tagging", "DeleteObjectTagging"),
    ("DELETE", "", "DeleteObject"),
)
_COPIES = {"PutObject": "CopyObject", "UploadPart": "UploadPartCopy"}

OPERATIONS = frozenset(row[2] for table in (_SERVICE, _BUCKET, _OBJECT) for row in table) | frozenset(_COPIES.values())
"""The names that a fault can be aimed at."""


@dataclass(frozen=True)
class Call:
    """What a request asks for.

    Attributes:
        operation: S3's name, such as "UploadPart"; "" for what is not in `OPERATIONS`.
        bucket, key: Decoded; "" where none is concerned.
        range: The Range header, such as "bytes=0-99"; "" without one.
    """

    method: str
    operation: str
    bucket: str
    key: str
    range: str


def call_of(method: str, target: str, headers: Mapping[str, str]) -> Call:
    """Reads a request.

    Args:
        target: As in the request line: path and query, encoded.
        headers: By lower-case name.
    """
    path, _, query = target.partition("?")
    bucket, _, key = path.removeprefix("/").partition("/")
    parameters = {name for name, _ in parse_qsl(query, keep_blank_values=True)}
    operation = _look_up(_OBJECT if key else _BUCKET if bucket else _SERVICE, method, parameters)
    if "x-amz-copy-source" in headers:
        operation = _COPIES.get(operation, operation)
    return Call(method, operation, unquote(bucket), unquote(key), headers.get("range", ""))


def _look_up(table: tuple[tuple[str, str, str], ...], method: str, parameters: set[str]) -> str:
    for wanted, parameter, operation in table:
        if method == wanted and (not parameter or parameter in parameters):
            return operation
    return ""
