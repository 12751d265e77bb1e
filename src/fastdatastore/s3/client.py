"""S3: moves bytes, with the interface of metaflow.S3."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterable, Mapping
from contextlib import closing
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar, cast

from fastdatastore.engine.streams import Streamable
from fastdatastore.progress.meter import Meter
from fastdatastore.progress.show import Wish, metered
from fastdatastore.s3.face import Face
from fastdatastore.s3.objects import S3Object, S3PutObject
from fastdatastore.s3.steps import Step, Steps
from fastdatastore.s3.stored import StoredURL
from fastdatastore.s3.verbs import copy, delete, get, get_to, info, listing, presign, put, recursive
from fastdatastore.s3.verbs.arguments import Key
from fastdatastore.s3.verbs.get_to import LocalPath
from fastdatastore.s3.verbs.put import Value

if TYPE_CHECKING:
    from typing_extensions import Buffer

T = TypeVar("T")


class S3(Face):
    """A client of an S3 store, in place of metaflow.S3. Thread-safe. Files that it makes live until it is closed: use
    it in a `with`.

    Endpoint, region, certificates and credentials come from Metaflow's configuration where there is one
    (METAFLOW_S3_ENDPOINT_URL, …), else from the usual AWS variables and files (AWS_ENDPOINT_URL, AWS_PROFILE, …). All
    clients of a process that say the same share connections and credentials.

    Verbs that move bytes take `progress`: True shows a bar on a terminal (stderr) or in a notebook, and nothing
    elsewhere; a function is called about ten times a second with a Progress (bytes, objects, rate, …), in the caller's
    thread. What it raises ends the transfer like an error.

    Args:
        tmproot: Where results that do not fit into memory, and `S3Object.path`, make their files (default: ".", or
            METAFLOW_TEMPDIR).
        bucket, prefix: With `run`: instead of those of METAFLOW_DATATOOLS_S3ROOT.
        run: A FlowSpec (`run=self`) or a metaflow.Run: keys are relative to the run's own place.
        s3root: An s3:// URL that keys are relative to; without it every key is a full URL.
        encryption: Server-side encryption of what is put or copied: "AES256", "aws:kms" or "aws:kms:dsse" (default:
            METAFLOW_S3_SERVER_SIDE_ENCRYPTION).
        role: ARN of a role to assume. session_vars: Of the botocore session that has it.
        client_params: Arguments of boto3's S3 client: endpoint_url, region_name, verify, keys, config.
        external_client: Metaflow's S3Client or boto3's: endpoint, region, certificates and credentials are its own.
        inject_failure_rate: Percent of requests that fail on purpose, for tests; 100: every one, for good.
        kms_key_id: Which KMS key, by id, ARN or alias; for the latter two encryptions. None takes the account's own.
        customer_key: Your own key (SSE-C), 32 bytes or their base64, for all that is put, copied, read and asked
            about. The server forgets it, so keep it; it needs https, and is in no repr, log, error or pickle.
        storage_class: Of what is put or copied, such as "STANDARD_IA"; None takes the bucket's usual one.
        requester_pays: You agree to pay for requests to a requester-pays bucket.
        expected_bucket_owner: An account id; a bucket that belongs to another account is refused (AccessDenied).
        endpoint_url: Instead of what the configuration says.
        client: An engine client to share; what is given here counts before its own options.

    Encryption and the options from kms_key_id to expected_bucket_owner hold for all that the client does; for an object
    with options of its own make another S3, which shares connections and credentials with this one.

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

    def _run(self, steps: Steps[T], progress: Wish = None) -> T:
        self._files.warn_if_closed(stacklevel=3)
        with metered(progress) as meter:
            while True:
                try:
                    step = next(steps)
                except StopIteration as end:
                    return cast(T, end.value)
                for _ in self._results(step, meter):
                    pass

    def _results(self, step: Step, meter: Meter | None) -> Generator[Any, None, None]:
        if not step.moves:
            meter = None
        jobs = step.jobs if meter is None else meter.watched(step.jobs, step.total)
        with closing(self._client.run(jobs, None if meter is None else meter.tick)) as ended:
            for job in ended:
                if meter is not None:
                    meter.ended(job)
                try:
                    result = step.result(job)
                except Exception as error:
                    ended.throw(error)
                yield result
                del result  # while the next one comes, this one is the caller's alone

    # ---- get ----

    def get(
        self,
        key: Key = None,
        return_missing: bool = False,
        return_info: bool = True,
        *,
        version_id: str | None = None,
        progress: Wish = None,
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
        return self._run(get.get(self._context, key, return_missing, return_info, version_id), progress)

    def get_many(
        self,
        keys: Iterable[Key],
        return_missing: bool = False,
        return_info: bool = True,
        *,
        progress: Wish = None,
    ) -> list[S3Object]:
        """Downloads many objects at once; results in the order of `keys`, duplicates kept. See `get`."""
        return self._run(get.get_many(self._context, keys, return_missing, return_info), progress)

    def iter_many(
        self,
        keys: Iterable[Key],
        return_missing: bool = False,
        return_info: bool = True,
        *,
        progress: Wish = None,
    ) -> Generator[S3Object, None, None]:
        """Downloads many objects and yields each as soon as it is whole, in the order in which they end.

        Keys are drawn as there is room, so there may be any number of them. What is on the way, or waits to be looked
        at, stays within half of the memory ceiling; who is slow to look is waited for. Closing the generator cancels
        what is on the way. A key that comes twice is fetched twice. See `get`.
        """
        self._files.warn_if_closed(stacklevel=2)
        return self._stream(get.iter_many(self._context, keys, return_missing, return_info), progress)

    def _stream(self, step: Step, progress: Wish) -> Generator[S3Object, None, None]:
        with metered(progress) as meter, closing(self._results(step, meter)) as results:
            yield from results

    def get_into(
        self,
        key: Key,
        buffer: Buffer,
        return_missing: bool = False,
        return_info: bool = True,
        *,
        progress: Wish = None,
    ) -> S3Object:
        """Downloads an object, or a range of it, into memory of the caller's: its `size` tells how many bytes.

        Args:
            buffer: Writable and C-contiguous: a bytearray, a NumPy array, an mmap, …; the bytes go to its start, it may
                be larger. Not to be used before this returns; not held afterwards. After an error what is in it is not
                defined.

        Raises:
            ConfigurationError: The buffer is too small (then nothing was written to it), read-only or not contiguous.
        """
        return self._run(get_to.get_into(self._context, key, buffer, return_missing, return_info), progress)

    def get_file(
        self,
        key: Key,
        path: LocalPath,
        return_missing: bool = False,
        return_info: bool = True,
        *,
        progress: Wish = None,
    ) -> S3Object:
        """Downloads one object, or a range of it, to a file. See `get_files`."""
        return self._run(get_to.get_files(self._context, [(key, path)], return_missing, return_info), progress)[0]

    def get_files(
        self,
        key_paths: Iterable[tuple[Key, LocalPath]],
        return_missing: bool = False,
        return_info: bool = True,
        *,
        progress: Wish = None,
    ) -> list[S3Object]:
        """Downloads objects to files, which are the caller's and stay when this client is closed.

        Each appears under its path when it is whole and verified, never in part; until then, and after an error, a file
        that was there stays as it is. The space is claimed before a byte is fetched. Missing directories are made.
        After an error, files that were whole by then are there.

        Raises:
            LocalFileError: A path cannot be written, or names a directory.
            InsufficientDiskSpace: The disk is full; says which file needs how much.
        """
        return self._run(get_to.get_files(self._context, key_paths, return_missing, return_info), progress)

    def get_recursive(
        self,
        keys: Iterable[Key],
        return_info: bool = False,
        *,
        raw_prefixes: bool = False,
        progress: Wish = None,
    ) -> list[S3Object]:
        """Downloads all objects below each key, which are read as directories. See `get`.

        Args:
            return_info: As in `get`; the results' keys are then relative to s3root, else to the key they were found by.
            raw_prefixes: Keys are the beginnings of keys instead; results' keys are relative to s3root.
        """
        return self._run(recursive.get_recursive(self._context, keys, return_info, raw_prefixes), progress)

    def get_all(self, return_info: bool = False, *, progress: Wish = None) -> list[S3Object]:
        """Downloads all objects below s3root, which there must be. See `get_recursive`."""
        return self._run(recursive.get_all(self._context, return_info), progress)

    # ---- info ----

    def info(self, key: Key = None, return_missing: bool = False, *, version_id: str | None = None) -> S3Object:
        """Size, content type and metadata of an object, without its bytes. See `get`."""
        return self._run(info.info(self._context, key, return_missing, version_id))

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
        progress: Wish = None,
    ) -> StoredURL:
        """Stores one object and returns its URL: a str that also has the `version_id` and `etag` of what was stored.

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
        return self._run(put.put(self._context, key, obj, overwrite, content_type, metadata, resume), progress)

    def put_stream(
        self,
        key: str | S3PutObject | None,
        stream: Streamable,
        overwrite: bool = True,
        content_type: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        *,
        progress: Wish = None,
    ) -> StoredURL:
        """Stores what can be read but once and whose length is not known; returns its URL as `put` does.

        It is read in the calling thread, in blocks that grow with what has come (docs/design.md), of which as many are
        in memory as may be on the way, at most FDS_MEMORY_CEILING. If it raises, that very exception comes out, and
        nothing is stored. A pipe ends in the same way whether its writer is done or has died: that is the caller's to
        find out.

        Args:
            stream: A binary file object such as a pipe (from where it stands; it is not closed), or an iterable of
                bytes-like objects such as a generator.
        """
        return self._run(put.put_stream(self._context, key, stream, overwrite, content_type, metadata), progress)

    def put_many(
        self,
        key_objs: Iterable[tuple[str, Value] | S3PutObject],
        overwrite: bool = True,
        *,
        resume: bool = False,
        progress: Wish = None,
    ) -> list[tuple[str, str]]:
        """Stores many objects at once; returns (key, url) of those that were stored, in the order given. See `put`.

        From a generator they are drawn as they are sent, so that it may make more than fits into memory; a list is
        looked at wholly before anything is sent. If a key comes twice, the outcome is that of putting one after the
        other. File objects are read from where they stand, and left open.
        """
        return self._run(put.put_many(self._context, key_objs, overwrite, resume), progress)

    def put_files(
        self,
        key_paths: Iterable[tuple[str, str | os.PathLike[str]] | S3PutObject],
        overwrite: bool = True,
        *,
        resume: bool = False,
        progress: Wish = None,
    ) -> list[tuple[str, str]]:
        """Stores local files, given by their paths; returns (key, url) as `put_many` does."""
        return self._run(put.put_files(self._context, key_paths, overwrite, resume), progress)

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

        The copy gets the storage class and encryption of this client, or else the bucket's usual ones. Tags are kept;
        beyond 5 GiB only where these credentials may read the source's tags and tag the copy: it is then made in parts,
        to which S3 adds none by itself.

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

    def list_paths(self, keys: Iterable[Key] | None = None) -> list[S3Object]:
        """The objects and prefixes one level below each key (default: the root), which are read as directories.

        A prefix comes back with `exists` False. What is not there lists as nothing; a missing bucket is an error.
        """
        return self._run(listing.list_paths(self._context, keys))

    def list_recursive(self, keys: Iterable[Key] | None = None) -> list[S3Object]:
        """All objects below each key (default: the root), which are read as directories. See `list_paths`."""
        return self._run(listing.list_recursive(self._context, keys))
