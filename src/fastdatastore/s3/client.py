"""S3: moves bytes, with the interface of metaflow.S3 (the part of it that is here so far)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Any, TypeVar, cast

from fastdatastore.s3.face import Face
from fastdatastore.s3.objects import S3Object, S3PutObject
from fastdatastore.s3.steps import Steps
from fastdatastore.s3.stored import StoredURL
from fastdatastore.s3.verbs import copy, delete, get, info, listing, presign, put
from fastdatastore.s3.verbs.arguments import Key
from fastdatastore.s3.verbs.put import Value

T = TypeVar("T")


class S3(Face):
    """A client of an S3 store. Thread-safe. Files that it makes live until it is closed; use it in a `with`.

    Endpoint, region, certificates and credentials come from the usual AWS variables and files (AWS_ENDPOINT_URL,
    AWS_PROFILE, …).

    Args:
        tmproot: Where results that do not fit into memory, and `S3Object.path`, make their files.
        s3root: An s3:// URL that keys are relative to; without it every key is a full URL.
        encryption: Server-side encryption of what is put or copied: "AES256", "aws:kms" or "aws:kms:dsse".
        kms_key_id: Which KMS key, by id, ARN or alias; for the latter two. None takes the account's own.
        customer_key: Your own key (SSE-C), 32 bytes or their base64, for all that is put, copied, read and asked
            about. The server forgets it, so keep it; it needs https, and is in no repr, log, error or pickle.
        storage_class: Of what is put or copied, such as "STANDARD_IA"; None takes the bucket's usual one.
        requester_pays: You agree to pay for requests to a requester-pays bucket.
        expected_bucket_owner: An account id; a bucket that belongs to another account is refused (AccessDenied).
        endpoint_url: Instead of what the environment says.
        client: An engine client to share. It brings its options, unless some are given here.

    These options hold for all that the client does; for an object with options of its own make another client, with
    `client=` the first one's to share its connections.

    Raises:
        ConfigurationError: An argument that no server could take, or two that exclude each other.
    """

    def __enter__(self) -> S3:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Removes the files of all results."""
        self._files.close()

    def _run(self, steps: Steps[T]) -> T:
        while True:
            try:
                step = next(steps)
            except StopIteration as end:
                return cast(T, end.value)
            for job in self._client.run(step.jobs):
                step.check(job)

    # ---- get ----

    def get(
        self,
        key: Key = None,
        return_missing: bool = False,
        return_info: bool = True,
        *,
        version_id: str | None = None,
    ) -> S3Object:
        """Downloads one object, or a range of it (S3GetObject).

        Args:
            key: Relative to s3root, or a full URL.
            return_missing: An object that is not there comes back with `exists` False instead of an error.
            return_info: Fill in metadata, content type, …
            version_id: Of the version to read; None is the current one.

        Raises:
            NotFound, BucketNotFound, AccessDenied, InvalidRange, IntegrityError, …: see fastdatastore.errors.
        """
        return self._run(get.get(self._context, key, return_missing, return_info, version_id))

    def get_many(self, keys: Iterable[Key], return_missing: bool = False, return_info: bool = True) -> list[S3Object]:
        """Downloads many objects at once; results in the order of `keys`, duplicates kept. See `get`."""
        return self._run(get.get_many(self._context, keys, return_missing, return_info))

    # ---- info ----

    def info(self, key: str | None = None, return_missing: bool = False, *, version_id: str | None = None) -> S3Object:
        """Size, content type and metadata of an object, without its bytes. See `get`."""
        return self._run(info.info(self._context, key, return_missing, version_id))

    # ---- put ----

    def put(
        self,
        key: str | None,
        obj: Value,
        overwrite: bool = True,
        content_type: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> StoredURL:
        """Stores one object and returns its URL: a str that also has the `version_id` and `etag` of what was stored.

        Args:
            obj: str (stored as UTF-8), any bytes-like object (not copied), or a seekable binary file object (read from
                its start, closed afterwards).
            overwrite: False leaves an object that is there as it is.
            metadata: A JSON-able dict that `S3Object.metadata` gives back.
        """
        return self._run(put.put(self._context, key, obj, overwrite, content_type, metadata))

    def put_many(
        self, key_objs: Iterable[tuple[str, Value] | S3PutObject], overwrite: bool = True
    ) -> list[tuple[str, StoredURL]]:
        """Stores many objects at once; returns (key, url) of those that were stored, in the order given. See `put`."""
        return self._run(put.put_many(self._context, key_objs, overwrite))

    # ---- copy ----

    def copy(
        self,
        source: str,
        target: str | None,
        *,
        metadata: Mapping[str, Any] | None = None,
        content_type: str | None = None,
        version_id: str | None = None,
    ) -> StoredURL:
        """Copies an object within the store, of any size, and returns the copy's URL as `put` does.

        Args:
            source: Relative to s3root, or a full URL (of another bucket, too).
            target: As for `put`.
            metadata: Instead of the source's user metadata; {} removes it.
            content_type: Instead of the source's. Whatever is not given here is kept as it is.
            version_id: Of the source; None is the current one.

        The copy gets the storage class and encryption of this client, or else the bucket's usual ones. Tags are kept
        up to 5 GiB; beyond that the copy is made in parts, which S3 does without them.

        Raises:
            NotFound: There is no such source. Modified: It was replaced meanwhile. IntegrityError: The copy's
                checksum is not the source's.
        """
        return self._run(copy.copy(self._context, source, target, metadata, content_type, version_id))

    # ---- delete ----

    def delete(self, key: str | None, *, version_id: str | None = None) -> None:
        """Deletes one object; it is no error if it is not there.

        Args:
            version_id: Deletes this version for good. None hides the object, in a bucket that keeps versions.
        """
        self._run(delete.delete(self._context, key, version_id))

    def delete_many(self, keys: Iterable[str | None]) -> None:
        """Deletes many objects, 1,000 by a request; it is no error if some are not there.

        Raises:
            InvalidKey: Before anything is deleted.
            DeleteFailed: Some could not be deleted, and why; all others were.
        """
        self._run(delete.delete_many(self._context, keys))

    # ---- presign ----

    def presign(
        self, key: str | None, *, expires: int = 3600, method: str = "GET", version_id: str | None = None
    ) -> str:
        """A URL by which anybody, with any HTTP client, can read (or with method="PUT" store) one object.

        Nothing is sent: a URL can be made for what is not there, and for what these credentials may not do.

        Args:
            expires: Seconds until it ends, at most 7 days. It ends with temporary credentials in any case.
            method: "GET" or "PUT". What is put so gets the bucket's usual encryption and storage class, not this
                client's.
            version_id: For GET; None is the version that is current when the URL is used.
        """
        return presign.presign(self._context, key, expires, method, version_id)

    # ---- list ----

    def list_paths(self, keys: Iterable[str | None] | None = None) -> list[S3Object]:
        """The objects and prefixes one level below each key (default: the root), which are read as directories.

        A prefix comes back with `exists` False. What is not there lists as nothing; a missing bucket is an error.
        """
        return self._run(listing.list_paths(self._context, keys))

    def list_recursive(self, keys: Iterable[str | None] | None = None) -> list[S3Object]:
        """All objects below each key (default: the root), which are read as directories. See `list_paths`."""
        return self._run(listing.list_recursive(self._context, keys))
