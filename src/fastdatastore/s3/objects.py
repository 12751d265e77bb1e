"""What S3's methods take and give: S3Object, S3GetObject, S3PutObject, RangeInfo."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, NamedTuple

USER_ATTRIBUTES = "x-amz-meta-metaflow-user-attributes"


class S3GetObject(NamedTuple):
    """A range of an object: `length` bytes from `offset`; length None: to the end; length < 0: the last -length."""

    key: str
    offset: int | None = None
    length: int | None = None


class S3PutObject(NamedTuple):
    """An object to be stored: its `value` (str, bytes-like or file object) or the `path` of a file."""

    key: str
    value: Any = None
    path: str | None = None
    content_type: str | None = None
    encryption: str | None = None
    metadata: Mapping[str, Any] | None = None


class RangeInfo(NamedTuple):
    """Which bytes of the object these are; request_length -1: to the end."""

    total_size: int
    request_offset: int = 0
    request_length: int = -1


class S3Object:
    """An object, or what is known of it, as S3's methods return it.

    Its bytes are in memory (`view` is free, `blob` and `text` copy); `path` writes them to a file when it is first
    asked for, which vanishes when the S3 client is closed.
    """

    __slots__ = (
        "_content",
        "_headers",
        "_last_modified",
        "_make_path",
        "_path",
        "_prefix",
        "_range",
        "_size",
        "_url",
        "_verified_by",
    )

    def __init__(
        self,
        prefix: str | None,
        url: str,
        *,
        size: int | None = None,
        content: memoryview | None = None,
        path: Path | None = None,
        make_path: Callable[[], Path] | None = None,
        headers: Mapping[str, str] | None = None,
        range_info: RangeInfo | None = None,
        last_modified: float | None = None,
        verified_by: str = "",
    ) -> None:
        self._prefix = None if prefix == url else prefix
        self._url = url
        self._size = size
        self._content = content
        self._path = path
        self._make_path = make_path
        self._headers = headers or {}
        self._range = range_info
        self._last_modified = last_modified
        self._verified_by = verified_by

    # ---- which object ----

    @property
    def url(self) -> str:
        """The full s3:// URL."""
        return self._url

    @property
    def prefix(self) -> str | None:
        """The URL that `key` is relative to; None when there is none."""
        return self._prefix

    @property
    def key(self) -> str:
        """The key, relative to the prefix; without one, the URL."""
        if self._prefix is None:
            return self._url
        return self._url[len(self._prefix.rstrip("/")) + 1 :].rstrip("/")

    @property
    def exists(self) -> bool:
        return self._size is not None

    @property
    def size(self) -> int | None:
        """Bytes of the object, or of the range that was asked for; None if it does not exist or is a prefix."""
        return self._size

    # ---- its bytes ----

    @property
    def downloaded(self) -> bool:
        """Its bytes are here."""
        return self._content is not None or self._path is not None

    @property
    def view(self) -> memoryview | None:
        """The bytes without a copy, read-only; None if they were not downloaded."""
        if self._content is None and self._path is not None:
            return memoryview(self._path.read_bytes())
        return self._content

    @property
    def blob(self) -> bytes | None:
        """The bytes; None if they were not downloaded."""
        view = self.view
        if view is None:
            return None
        # Small objects arrive as bytes: then there is nothing to copy.
        return view.obj if isinstance(view.obj, bytes) and len(view.obj) == view.nbytes else bytes(view)

    @property
    def text(self) -> str | None:
        """The bytes as UTF-8, what is not replaced; None if they were not downloaded."""
        view = self.view
        return None if view is None else str(view, "utf-8", "replace")

    @property
    def path(self) -> str | None:
        """A local file with the bytes, until the S3 client is closed; None if they were not downloaded.

        Raises:
            InsufficientDiskSpace, LocalFileError: The file cannot be written under tmproot.
        """
        if self._path is None and self._content is not None and self._make_path is not None:
            self._path = self._make_path()
        return None if self._path is None else os.fspath(self._path)

    # ---- what is known of it ----

    @property
    def has_info(self) -> bool:
        """Metadata, content type, encryption or range are known."""
        known = (self.content_type, self.metadata, self._range, self.encryption)
        return any(item is not None for item in known)

    @property
    def metadata(self) -> dict[str, Any] | None:
        """What was given as metadata when it was put; None if there is none, or somebody else wrote it."""
        try:
            found = json.loads(self._headers.get(USER_ATTRIBUTES, "null"))
        except ValueError:
            return None
        return found if isinstance(found, dict) else None

    @property
    def content_type(self) -> str | None:
        return self._headers.get("content-type")

    @property
    def encryption(self) -> str | None:
        """The server-side encryption, such as "AES256"."""
        return self._headers.get("x-amz-server-side-encryption")

    @property
    def version_id(self) -> str | None:
        """In a bucket that keeps versions."""
        return self._headers.get("x-amz-version-id")

    @property
    def range_info(self) -> RangeInfo | None:
        """Which bytes these are; for a whole object (0, size)."""
        return self._range

    @property
    def verified_by(self) -> str:
        """How its bytes were verified: "crc64nvme", "length", … (docs/design.md); "" where none were downloaded."""
        return self._verified_by

    @property
    def last_modified(self) -> float | None:
        """Seconds since 1970, UTC."""
        if self._last_modified is None and "last-modified" in self._headers:
            self._last_modified = parsedate_to_datetime(self._headers["last-modified"]).timestamp()
        return self._last_modified

    def __str__(self) -> str:
        if self._size is None:
            return f"<S3Object {self._url} (object does not exist)>"
        state = f"{self._size} bytes, {'local' if self.downloaded else 'not downloaded'}"
        return f"<S3Object {self._url} ({state})>"

    __repr__ = __str__
