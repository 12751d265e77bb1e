"""S3: moves bytes, with the interface of metaflow.S3."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Any, TypeVar, cast

from fastdatastore.engine.streams import Streamable
from fastdatastore.s3.face import Face
from fastdatastore.s3.objects import S3Object, S3PutObject
from fastdatastore.s3.steps import Steps
from fastdatastore.s3.verbs import get, info, listing, put, recursive
from fastdatastore.s3.verbs.arguments import Key
from fastdatastore.s3.verbs.put import Value

T = TypeVar("T")


class S3(Face):
    """A client of an S3 store, in place of metaflow.S3. Thread-safe. Files that it makes live until it is closed: use
    it in a `with`.

    Endpoint, region, certificates and credentials come from Metaflow's configuration where there is one
    (METAFLOW_S3_ENDPOINT_URL, …), else from the usual AWS variables and files (AWS_ENDPOINT_URL, AWS_PROFILE, …). All
    clients of a process that say the same share connections and credentials.

    Args:
        tmproot: Where results that do not fit into memory, and `S3Object.path`, make their files (default: ".", or
            METAFLOW_TEMPDIR).
        bucket, prefix: With `run`: instead of those of METAFLOW_DATATOOLS_S3ROOT.
        run: A FlowSpec (`run=self`) or a metaflow.Run: keys are relative to the run's own place.
        s3root: An s3:// URL that keys are relative to; without it every key is a full URL.
        encryption: Server-side encryption of what is put, such as "AES256" (default:
            METAFLOW_S3_SERVER_SIDE_ENCRYPTION).
        role: ARN of a role to assume. session_vars: Of the botocore session that has it.
        client_params: Arguments of boto3's S3 client: endpoint_url, region_name, verify, keys, config.
        external_client: Metaflow's S3Client or boto3's: endpoint, region, certificates and credentials are its own.
        inject_failure_rate: Percent of requests that fail on purpose, for tests; 100: every one, for good.
        endpoint_url: Instead of what the configuration says.
        client: An engine client to share.

    Raises:
        InvalidKey, ConfigurationError: An argument or the configuration says what cannot be.
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
        self._files.warn_if_closed(stacklevel=3)
        while True:
            try:
                step = next(steps)
            except StopIteration as end:
                return cast(T, end.value)
            for job in self._client.run(step.jobs):
                step.check(job)

    # ---- get ----

    def get(self, key: Key = None, return_missing: bool = False, return_info: bool = True) -> S3Object:
        """Downloads one object, or a range of it (S3GetObject).

        Args:
            key: Relative to s3root, or a full URL.
            return_missing: An object that is not there comes back with `exists` False instead of an error.
            return_info: Fill in metadata, content type, …

        Raises:
            NotFound, BucketNotFound, AccessDenied, InvalidRange, IntegrityError, …: see fastdatastore.errors.
        """
        return self._run(get.get_many(self._context, [key], return_missing, return_info))[0]

    def get_many(self, keys: Iterable[Key], return_missing: bool = False, return_info: bool = True) -> list[S3Object]:
        """Downloads many objects at once; results in the order of `keys`, duplicates kept. See `get`."""
        return self._run(get.get_many(self._context, keys, return_missing, return_info))

    def get_recursive(
        self, keys: Iterable[Key], return_info: bool = False, *, raw_prefixes: bool = False
    ) -> list[S3Object]:
        """Downloads all objects below each key, which are read as directories. See `get`.

        Args:
            return_info: As in `get`; the results' keys are then relative to s3root, else to the key they were found by.
            raw_prefixes: Keys are the beginnings of keys instead; results' keys are relative to s3root.
        """
        return self._run(recursive.get_recursive(self._context, keys, return_info, raw_prefixes))

    def get_all(self, return_info: bool = False) -> list[S3Object]:
        """Downloads all objects below s3root, which there must be. See `get_recursive`."""
        return self._run(recursive.get_all(self._context, return_info))

    # ---- info ----

    def info(self, key: Key = None, return_missing: bool = False) -> S3Object:
        """Size, content type and metadata of an object, without its bytes. See `get`."""
        return self._run(info.info_many(self._context, [key], return_missing))[0]

    def info_many(self, keys: Iterable[Key], return_missing: bool = False) -> list[S3Object]:
        """`info` of many objects at once, in the order of `keys`, duplicates kept."""
        return self._run(info.info_many(self._context, keys, return_missing))

    # ---- put ----

    def put(
        self,
        key: str | S3PutObject | None,
        obj: Value,
        overwrite: bool = True,
        content_type: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        *,
        resume: bool = False,
    ) -> str:
        """Stores one object and returns its URL.

        Args:
            obj: str (stored as UTF-8), any bytes-like object (not copied), or a seekable binary file object (read from
                its start, closed afterwards).
            overwrite: False leaves an object that is there as it is.
            metadata: A JSON-able dict that `S3Object.metadata` gives back.
            resume: Go on with a multipart upload of the same bytes that was left behind, by a process that was killed
                or by a put with `resume` that was interrupted or lost its connection. Parts that are there are compared
                and not sent again. Content type and metadata stay those that the upload was begun with. Never while
                another process is putting the same key.
        """
        return self._run(put.put(self._context, key, obj, overwrite, content_type, metadata, resume))

    def put_stream(
        self,
        key: str | None,
        stream: Streamable,
        overwrite: bool = True,
        content_type: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> str:
        """Stores what can be read but once and whose length is not known; returns its URL.

        It is read in the calling thread, in blocks that grow with what has come (docs/design.md), of which as many are
        in memory as may be on the way, at most FDS_MEMORY_CEILING. If it raises, that very exception comes out, and
        nothing is stored. A pipe ends in the same way whether its writer is done or has died: that is the caller's to
        find out.

        Args:
            stream: A binary file object such as a pipe (from where it stands; it is not closed), or an iterable of
                bytes-like objects such as a generator.
        """
        return self._run(put.put_stream(self._context, key, stream, overwrite, content_type, metadata))

    def put_many(
        self, key_objs: Iterable[tuple[str, Value] | S3PutObject], overwrite: bool = True, *, resume: bool = False
    ) -> list[tuple[str, str]]:
        """Stores many objects at once; returns (key, url) of those that were stored, in the order given. See `put`.

        From a generator they are drawn as they are sent, so that it may make more than fits into memory. File objects
        are read from where they stand, and left open.
        """
        return self._run(put.put_many(self._context, key_objs, overwrite, resume))

    def put_files(
        self,
        key_paths: Iterable[tuple[str, str | os.PathLike[str]] | S3PutObject],
        overwrite: bool = True,
        *,
        resume: bool = False,
    ) -> list[tuple[str, str]]:
        """Stores local files, given by their paths; returns (key, url) as `put_many` does."""
        return self._run(put.put_files(self._context, key_paths, overwrite, resume))

    # ---- list ----

    def list_paths(self, keys: Iterable[Key] | None = None) -> list[S3Object]:
        """The objects and prefixes one level below each key (default: the root), which are read as directories.

        A prefix comes back with `exists` False. What is not there lists as nothing; a missing bucket is an error.
        """
        return self._run(listing.list_paths(self._context, keys))

    def list_recursive(self, keys: Iterable[Key] | None = None) -> list[S3Object]:
        """All objects below each key (default: the root), which are read as directories. See `list_paths`."""
        return self._run(listing.list_recursive(self._context, keys))
