"""ListObjectsV2: one level or all below a prefix, page after page."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from urllib.parse import unquote_plus

from fastdatastore import errors
from fastdatastore.engine import xml
from fastdatastore.engine.job import Job, RetryRequest
from fastdatastore.engine.request import Pairs, Request
from fastdatastore.engine.retry import make_error

if TYPE_CHECKING:
    from fastdatastore._native import Report


@dataclass(frozen=True, slots=True)
class Entry:
    """A key, or with `is_prefix` a common prefix (it ends in "/"; size and last_modified are None)."""

    key: str
    size: int | None
    last_modified: float | None
    is_prefix: bool = False
    etag: str = ""


class ListJob(Job):
    """Lists what is below `prefix`.

    Args:
        recursive: All keys; otherwise keys up to the next "/", and the common prefixes beyond.
        page: Only the page that this token stands for, "" being the first; None: all pages.

    Attributes, when it is done:
        entries: In the server's order; of each page the keys, then the common prefixes.
        next_page: The token of the page after this one; None when there is none.
    """

    operation = "ListObjectsV2"

    def __init__(self, bucket: str, prefix: str, *, recursive: bool, page: str | None = None) -> None:
        super().__init__(bucket)
        self.prefix = prefix
        self.entries: list[Entry] = []
        self._recursive = recursive
        self.next_page: str | None = None
        self._next: str | None = page or ""
        self._one_page = page is not None
        self._pages: set[str] = set()

    def next_request(self) -> Request | None:
        if self._next is None or self.in_flight:
            return None
        # encoding-type=url: XML 1.0 cannot carry every character that a key may have.
        query: Pairs = (("list-type", "2"), ("prefix", self.prefix), ("encoding-type", "url"))
        if not self._recursive:
            query += (("delimiter", "/"),)
        if self._next:
            query += (("continuation-token", self._next),)
        self._next = None
        return Request(self, "ListObjectsV2", "GET", self.bucket, query=query)

    def on_answer(self, request: Request, report: Report) -> None:
        try:
            # Ceph encodes the keys, but repeats the prefix that was asked for as it is, control characters and all.
            found = xml.parse_records(report.content, "Contents", "CommonPrefixes", lenient=True)
            if found.root != "ListBucketResult":
                raise xml.BadXml(f"a {found.root} came for a listing")
            encoded = found.fields.get("EncodingType") == "url"
            if not encoded:
                found = xml.parse_records(report.content, "Contents", "CommonPrefixes")
            page = [
                Entry(
                    plain(item.get("Key", ""), encoded),
                    int(item.get("Size") or "0"),
                    timestamp(item.get("LastModified", "")),
                    etag=item.get("ETag", ""),
                )
                for item in found.records["Contents"]
            ]
        except ValueError as error:
            raise RetryRequest(make_error(errors.ProtocolError, f"not a listing: {error}", request, report)) from None
        page += [
            Entry(plain(item.get("Prefix", ""), encoded), None, None, is_prefix=True)
            for item in found.records["CommonPrefixes"]
        ]
        self.entries += page
        token = found.fields.get("NextContinuationToken")
        if found.fields.get("IsTruncated") != "true":
            self.finish()
        elif not token or token in self._pages:
            raise make_error(errors.ProtocolError, "the listing goes on but names no new page", request, report)
        elif self._one_page:
            self.next_page = token
            self.finish()
        else:
            self._pages.add(token)
            self._next = token


def plain(text: str, encoded: bool) -> str:
    """A key of a reply; `encoded`: its encoding-type was url."""
    # A blank comes as "+" from S3 itself, MinIO and SeaweedFS; a plus never comes as it is. Most keys have no other
    # escapes than slashes: what is left is then a plain text, and six times as fast.
    return unquote_plus(text.replace("%2F", "/"), errors="surrogateescape") if encoded else text


def timestamp(text: str) -> float | None:
    """Seconds since 1970 of an ISO 8601 time."""
    return datetime.fromisoformat(text).timestamp() if text else None
