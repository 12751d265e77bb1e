"""What put and copy return."""

from __future__ import annotations


class StoredURL(str):
    """The URL of an object that was stored: a str that also knows which version it has become.

    Attributes:
        version_id: In a bucket that keeps versions; else None.
        etag: As the server gave it, quoted; None if nothing was stored because the object was there already.
    """

    version_id: str | None
    etag: str | None

    def __new__(cls, url: str, version_id: str | None = None, etag: str | None = None) -> StoredURL:
        self = super().__new__(cls, url)
        self.version_id = version_id
        self.etag = etag
        return self
