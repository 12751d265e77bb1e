"""What S3's methods take and give: S3Object, S3GetObject, S3PutObject, RangeInfo."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from copy import copy
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from fastdatastore.engine.ceiling import Held
from fastdatastore.engine.planes.local import local as _native
from fastdatastore.errors import ConfigurationError
from fastdatastore.s3 import content as contents
from fastdatastore.s3.files import ResultFiles, SpilledFile

if TYPE_CHECKING:
    import numpy.typing as npt
    import pyarrow as pa

USER_ATTRIBUTES = "x-amz-meta-metaflow-user-attributes"

# What a result keeps of a reply's headers: of a million results the others would be most of the memory.
_KEPT_HEADERS = (
    "content-encoding",
    "content-type",
    "etag",
    "last-modified",
    "x-amz-server-side-encryption",
    "x-amz-server-side-encryption-aws-kms-key-id",
    "x-amz-storage-class",
    "x-amz-version-id",
    USER_ATTRIBUTES,
)


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

    Its bytes are in memory, or beyond the memory ceiling in a file: `view`, `to_numpy()` and `to_arrow()` are free,
    `blob` and `text` copy, `path` writes a file when it is first asked for, which vanishes when the S3 client is
    closed. Views, and arrays over them, outlive the result and the client.

    Two results are equal only if they are the same one. A pickle holds the bytes; that of a result of get_file() only
    the file's path.
    """

    __slots__ = (
        "__weakref__",
        "_content",
        "_files",
        "_headers",
        "_held",
        "_last_modified",
        "_path",
        "_prefix",
        "_range",
        "_size",
        "_spilled",
        "_url",
        "_verified_by",
    )

    def __init__(
        self,
        prefix: str | None,
        url: str,
        *,
        size: int | None = None,
        content: bytes | memoryview | None = None,
        held: Held | None = None,
        spilled: SpilledFile | None = None,
        path: Path | None = None,
        files: ResultFiles | None = None,
        headers: Mapping[str, str] | None = None,
        range_info: RangeInfo | None = None,
        last_modified: float | None = None,
        verified_by: str = "",
    ) -> None:
        self._prefix = None if prefix == url else prefix
        self._url = url
        self._size = size
        self._content = content
        self._held = held  # its share of the memory ceiling, until it is gone
        self._spilled = spilled
        self._path = path
        self._files = files
        self._headers = None if headers is None else {name: headers[name] for name in _KEPT_HEADERS if name in headers}
        self._range = range_info
        self._last_modified = last_modified
        self._verified_by = verified_by

    def __reduce__(self) -> tuple[Any, ...]:
        known = (self._size, self._headers, self._range, self._last_modified, self._verified_by)
        path = self._path if self._files is None else None  # the caller's own file
        content = self.blob if path is None else None
        return _unpickle, (self._prefix, self._url, content, path, self._files, known)

    def __copy__(self) -> S3Object:
        other = object.__new__(type(self))
        for name in _STATE:
            setattr(other, name, getattr(self, name))
        return other

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

    def relative_to(self, prefix: str | None) -> S3Object:
        """The same object, with its `key` seen from another `prefix`."""
        other = copy(self)
        other._prefix = None if prefix == self._url else prefix
        return other

    # ---- its bytes ----

    @property
    def downloaded(self) -> bool:
        """Its bytes are here."""
        return self._content is not None or self._spilled is not None or self._path is not None

    @property
    def view(self) -> memoryview | None:
        """The bytes without a copy, read-only (of a file: mapped); None if they were not downloaded.

        Raises:
            LocalFileError: They were in a file, and the S3 client is closed.
        """
        if self._content is None and (path := self._file) is not None:
            self._content = contents.of_file(path)
        return None if self._content is None else memoryview(self._content)

    @property
    def _file(self) -> Path | None:
        return self._path if self._spilled is None else self._spilled.path

    @property
    def blob(self) -> bytes | None:
        """The bytes; None if they were not downloaded."""
        if self._content is None:
            view = self.view
            return None if view is None else _native.to_bytes(view)
        # Small objects arrive as bytes: then nothing is copied.
        return self._content if isinstance(self._content, bytes) else _native.to_bytes(self._content)

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
        if self._spilled is not None:
            self._spilled.known = True
        elif self._path is None and self._content is not None and self._files is not None:
            self._path = self._files.write(memoryview(self._content))
        return None if (path := self._file) is None else os.fspath(path)

    def to_numpy(self, dtype: npt.DTypeLike = "uint8") -> npt.NDArray[Any]:
        """The bytes as a one-dimensional NumPy array of `dtype`, read-only and without a copy.

        Raises:
            ConfigurationError: NumPy is not installed, the bytes are no whole number of such items, or they were not
                downloaded.
        """
        return contents.to_numpy(self._bytes(), dtype)

    def to_arrow(self) -> pa.Buffer:
        """The bytes as a pyarrow.Buffer without a copy, to be read by `pa.ipc.open_file`, `pa.BufferReader`, …

        Raises:
            ConfigurationError: pyarrow is not installed, or the bytes were not downloaded.
        """
        return contents.to_arrow(self._bytes())

    def _bytes(self) -> memoryview:
        if (view := self.view) is None:
            raise ConfigurationError(f"the bytes of {self._url} were not downloaded here; get() downloads them")
        return view

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
            found = json.loads(self._header(USER_ATTRIBUTES) or "null")
        except ValueError:
            return None
        return found if isinstance(found, dict) else None

    @property
    def content_type(self) -> str | None:
        return self._header("content-type")

    @property
    def encryption(self) -> str | None:
        """The server-side encryption, such as "AES256"."""
        return self._header("x-amz-server-side-encryption")

    @property
    def version_id(self) -> str | None:
        """In a bucket that keeps versions."""
        return self._header("x-amz-version-id")

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
        if self._last_modified is None and (text := self._header("last-modified")) is not None:
            self._last_modified = parsedate_to_datetime(text).timestamp()
        return self._last_modified

    def _header(self, name: str) -> str | None:
        return None if self._headers is None else self._headers.get(name)

    def __str__(self) -> str:
        if self._size is None:
            return f"<S3Object {self._url} (object does not exist)>"
        state = f"{self._size} bytes, {'local' if self.downloaded else 'not downloaded'}"
        return f"<S3Object {self._url} ({state})>"

    __repr__ = __str__


_STATE = tuple(name for name in S3Object.__slots__ if name != "__weakref__")


def _unpickle(
    prefix: str | None,
    url: str,
    content: bytes | None,
    path: Path | None,
    files: ResultFiles | None,
    known: tuple[int | None, Mapping[str, str] | None, RangeInfo | None, float | None, str],
) -> S3Object:
    size, headers, range_info, last_modified, verified_by = known
    return S3Object(
        prefix,
        url,
        size=size,
        content=content,
        path=path,
        files=files,
        headers=headers,
        range_info=range_info,
        last_modified=last_modified,
        verified_by=verified_by,
    )
