"""From what a user names (a key below s3root, or a full s3:// URL) to bucket, key and back."""

from __future__ import annotations

from dataclasses import dataclass

from fastdatastore.auth.access_points import split_bucket
from fastdatastore.auth.endpoint import check_bucket, check_key
from fastdatastore.errors import InvalidKey


@dataclass(frozen=True, slots=True)
class Place:
    """One object's place.

    Attributes:
        url: As the user sees it. prefix: the root's URL, None without a root. bucket, key: as S3 sees it.
    """

    url: str
    prefix: str | None
    bucket: str
    key: str


class Root:
    """What keys are relative to: an s3:// URL, or nothing.

    Raises:
        InvalidKey: `s3root` is no s3:// URL.
    """

    def __init__(self, s3root: str | None) -> None:
        if s3root is not None and (not isinstance(s3root, str) or not _is_url(s3root)):
            raise InvalidKey(f"s3root must be an s3:// URL such as s3://bucket/prefix, got {s3root!r}")
        self.url = s3root.rstrip("/") if s3root is not None else None
        if s3root is not None:
            check_bucket(_split(s3root)[0])

    def place(self, key: str | None) -> Place:
        """Of an object. With a root: `key` below it, None or "" being the root itself; without: a full URL."""
        place = self._resolve(key)
        check_key(place.key)
        return place

    def place_anywhere(self, key: str | None) -> Place:
        """Of an object that is only read: below the root, or anywhere by its full URL."""
        return Root(None).place(key) if isinstance(key, str) and _is_url(key) else self.place(key)

    def directory(self, key: str | None) -> Place:
        """Of a listing: the key ends in "/", or is "" for a whole bucket."""
        place = self._resolve(key)
        name = place.key.rstrip("/")
        return Place(place.url.rstrip("/") + "/", place.prefix, place.bucket, name + "/" if name else "")

    def beginning(self, key: str | None) -> Place:
        """Of all keys that begin so, whatever follows."""
        return self._resolve(key)

    def _resolve(self, key: str | None) -> Place:
        if key is not None and not isinstance(key, str):
            raise InvalidKey(f"a key must be a str, got {type(key).__name__}")
        if self.url is not None:
            if key and _is_url(key):
                raise InvalidKey(f"with an s3root (or run) keys are relative to it, got the URL {key!r}")
            url = f"{self.url}/{key.lstrip('/')}" if key else self.url
        else:
            if not key or not _is_url(key):
                raise InvalidKey(
                    f"without a root a full s3://bucket/key URL is needed, got {key!r}; give S3 an s3root, or inside "
                    "of a flow run=self"
                )
            url = key
        bucket, name = _split(url)
        check_bucket(bucket)
        return Place(url, self.url, bucket, name)


def _is_url(text: str) -> bool:
    return text[:5].lower() == "s3://"


def _split(url: str) -> tuple[str, str]:
    # By hand, because a key may hold "?" and "#". Like metaflow.S3 it strips all slashes behind the bucket.
    bucket, key = split_bucket(url[5:])
    return bucket, key.lstrip("/")
