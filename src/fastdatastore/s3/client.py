"""S3: moves bytes, with the interface of metaflow.S3 (the part of it that is here so far)."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import threading
from collections.abc import Iterable, Mapping
from io import BufferedIOBase, RawIOBase
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeAlias

from fastdatastore import errors
from fastdatastore.auth.credentials import CredentialProvider, configured_endpoint
from fastdatastore.auth.endpoint import EndpointConfig
from fastdatastore.engine.client import Client
from fastdatastore.engine.get import ByteRange, GetJob
from fastdatastore.engine.head import HeadJob
from fastdatastore.engine.listing import ListJob
from fastdatastore.engine.put import PutJob
from fastdatastore.engine.request import Pairs
from fastdatastore.engine.sinks import SpillSink, disk_error
from fastdatastore.s3.objects import USER_ATTRIBUTES, RangeInfo, S3GetObject, S3Object, S3PutObject
from fastdatastore.s3.roots import Place, Root

if TYPE_CHECKING:
    from typing_extensions import Buffer

Value: TypeAlias = "str | Buffer | RawIOBase | BufferedIOBase"
Key: TypeAlias = str | S3GetObject | None


class S3:
    """A client of an S3 store. Thread-safe. Files that it makes live until it is closed; use it in a `with`.

    Endpoint, region, certificates and credentials come from the usual AWS variables and files (AWS_ENDPOINT_URL,
    AWS_PROFILE, …).

    Args:
        tmproot: Where results that do not fit into memory, and `S3Object.path`, make their files.
        s3root: An s3:// URL that keys are relative to; without it every key is a full URL.
        encryption: Server-side encryption of what is put, such as "AES256".
        endpoint_url: Instead of what the environment says.
        client: An engine client to share.
    """

    def __init__(
        self,
        tmproot: str = ".",
        *,
        s3root: str | None = None,
        encryption: str | None = None,
        endpoint_url: str | None = None,
        client: Client | None = None,
    ) -> None:
        self._root = Root(s3root)
        self._tmproot = tmproot
        self._encryption = encryption
        self._client = client or _client(endpoint_url)
        self._lock = threading.Lock()
        self._tmpdir: Path | None = None
        self._owner = 0  # the process that made it
        self._names = count()

    def __reduce__(self) -> tuple[Any, ...]:
        return _unpickle, (self._tmproot, self._root.url, self._encryption, self._client)

    def __repr__(self) -> str:
        return f"<S3 {self._root.url or '(no root)'} at {self._client.remote.endpoint}>"

    def __enter__(self) -> S3:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Removes the files of all results."""
        with self._lock:
            directory, self._tmpdir = self._tmpdir, None
        if directory is not None and self._owner == os.getpid():  # after a fork the files are the parent's
            shutil.rmtree(directory, ignore_errors=True)

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
        return self._get([key], return_missing, return_info)[0]

    def get_many(self, keys: Iterable[Key], return_missing: bool = False, return_info: bool = True) -> list[S3Object]:
        """Downloads many objects at once; results in the order of `keys`, duplicates kept. See `get`."""
        return self._get(list(keys), return_missing, return_info)

    def _get(self, keys: list[Key], return_missing: bool, return_info: bool) -> list[S3Object]:
        make_sink = self._client.spill_sinks(self._new_path)
        jobs: dict[tuple[str, ByteRange | None], tuple[Place, GetJob | HeadJob, SpillSink]] = {}
        wanted = []
        for item in keys:
            place = self._root.place(_name_of(item))
            byte_range = _range_of(place, item)
            wanted.append((place.url, byte_range))
            if wanted[-1] not in jobs:
                sink = make_sink()
                job: GetJob | HeadJob
                if byte_range is not None and byte_range.length == 0:
                    job = HeadJob(place.bucket, place.key)  # no bytes, but whether and what it is
                else:
                    job = self._client.get(place.bucket, place.key, sink, byte_range)
                jobs[wanted[-1]] = (place, job, sink)
        self._run_reads([job for _, job, _ in jobs.values()], return_missing)
        results = {
            identity: self._result(place, job, sink, identity[1], return_info)
            for identity, (place, job, sink) in jobs.items()
        }
        return [results[identity] for identity in wanted]

    def _run_reads(self, jobs: list[GetJob | HeadJob], return_missing: bool) -> None:
        for job in self._client.run(jobs):
            if job.error is not None and not (return_missing and isinstance(job.error, errors.NotFound)):
                raise job.error

    def _result(
        self,
        place: Place,
        job: GetJob | HeadJob,
        sink: SpillSink,
        byte_range: ByteRange | None,
        return_info: bool,
    ) -> S3Object:
        if job.error is not None:
            return S3Object(place.prefix, place.url)
        if isinstance(job, GetJob):
            content, size = job.content, job.size
            info = RangeInfo(job.total_size, job.offset, size)
        else:
            if byte_range is not None and byte_range.offset > job.size:
                raise errors.InvalidRange(
                    f"the offset {byte_range.offset:,} lies beyond its {job.size:,} bytes",
                    operation="GetObject",
                    bucket=place.bucket,
                    key=place.key,
                )
            content, size = memoryview(b""), 0
            info = RangeInfo(job.size, byte_range.offset if byte_range else 0, 0)
        return S3Object(
            place.prefix,
            place.url,
            size=size,
            content=content if sink.path is None else None,
            path=sink.path,
            make_path=lambda: self._write(content),
            headers=job.headers if return_info else None,
            range_info=info if return_info else None,
        )

    # ---- info ----

    def info(self, key: str | None = None, return_missing: bool = False) -> S3Object:
        """Size, content type and metadata of an object, without its bytes. See `get`."""
        place = self._root.place(key)
        job = HeadJob(place.bucket, place.key)
        self._run_reads([job], return_missing)
        if job.error is not None:
            return S3Object(place.prefix, place.url)
        info = RangeInfo(job.size, 0, job.size)
        return S3Object(place.prefix, place.url, size=job.size, headers=job.headers, range_info=info)

    # ---- put ----

    def put(
        self,
        key: str | None,
        obj: Value,
        overwrite: bool = True,
        content_type: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> str:
        """Stores one object and returns its URL.

        Args:
            obj: str (stored as UTF-8), any bytes-like object (not copied), or a seekable binary file object (read from
                its start, closed afterwards).
            overwrite: False leaves an object that is there as it is.
            metadata: A JSON-able dict that `S3Object.metadata` gives back.
        """
        place = self._root.place(key)
        if overwrite or not self._existing([place]):
            self._client.run_one(self._put_job(place, obj, None, content_type, metadata))
        return place.url

    def put_many(
        self, key_objs: Iterable[tuple[str, Value] | S3PutObject], overwrite: bool = True
    ) -> list[tuple[str, str]]:
        """Stores many objects at once; returns (key, url) of those that were stored, in the order given. See `put`."""
        rows: list[tuple[str, Place, PutJob]] = []
        for row in key_objs:
            item = row if isinstance(row, S3PutObject) else S3PutObject(*row)
            place = self._root.place(item.key)
            rows.append(
                (
                    item.key,
                    place,
                    self._put_job(place, item.value, item.path, item.content_type, item.metadata),
                )
            )
        if not overwrite:
            there = self._existing([place for _, place, _ in rows])
            rows = [row for row in rows if row[1].url not in there]
        self._client.run_all([job for _, _, job in rows])
        return [(key, place.url) for key, place, _ in rows]

    def _existing(self, places: list[Place]) -> set[str]:
        jobs = {place.url: HeadJob(place.bucket, place.key) for place in places}
        self._run_reads(list(jobs.values()), return_missing=True)
        return {url for url, job in jobs.items() if job.error is None}

    def _put_job(
        self, place: Place, value: Value | None, path: str | None, content_type: str | None, metadata: Any
    ) -> PutJob:
        return self._client.put(
            place.bucket, place.key, _value_of(place, value, path), self._headers(content_type, metadata)
        )

    def _headers(self, content_type: str | None, metadata: Mapping[str, Any] | None) -> Pairs:
        headers: Pairs = ()
        if content_type:
            headers += (("content-type", content_type),)
        if metadata:
            try:
                headers += ((USER_ATTRIBUTES, json.dumps(metadata)),)
            except (TypeError, ValueError) as error:
                raise errors.ConfigurationError(f"metadata must be what JSON can hold: {error}") from None
        if self._encryption:
            headers += (("x-amz-server-side-encryption", self._encryption),)
        for name, value in headers:
            if any(c < " " or c == "\x7f" for c in value):
                raise errors.ConfigurationError(f"{name} must not hold control characters, got {value!r}")
        return headers

    # ---- list ----

    def list_paths(self, keys: Iterable[str | None] | None = None) -> list[S3Object]:
        """The objects and prefixes one level below each key (default: the root), which are read as directories.

        A prefix comes back with `exists` False. What is not there lists as nothing; a missing bucket is an error.
        """
        places = [self._root.directory(key) for key in (keys if keys is not None else [None])]
        return self._list(places, [place.url for place in places], recursive=False)

    def list_recursive(self, keys: Iterable[str | None] | None = None) -> list[S3Object]:
        """All objects below each key (default: the root), which are read as directories. See `list_paths`."""
        places = [self._root.directory(key) for key in (keys if keys is not None else [None])]
        return self._list(places, [place.url.rstrip("/") for place in places], recursive=True)

    def _list(self, places: list[Place], prefixes: list[str], recursive: bool) -> list[S3Object]:
        jobs = self._client.run_all([ListJob(place.bucket, place.key, recursive=recursive) for place in places])
        return [
            S3Object(prefix, f"s3://{job.bucket}/{e.key}", size=e.size, last_modified=e.last_modified)
            for prefix, job in zip(prefixes, jobs, strict=True)
            for e in job.entries
        ]

    # ---- files ----

    def _new_path(self) -> Path:
        with self._lock:
            if self._tmpdir is None or self._owner != os.getpid():
                self._owner = os.getpid()
                try:
                    self._tmpdir = Path(tempfile.mkdtemp(prefix="fastdatastore.s3.", dir=self._tmproot))
                except OSError as error:
                    raise disk_error(error, Path(self._tmproot), 0) from error
            return self._tmpdir / f"{next(self._names):08d}"

    def _write(self, content: memoryview) -> Path:
        path = self._new_path()
        sink = self._client.file_sink(path)
        try:
            sink.open(content.nbytes)
            sink.landed(0, content, content.nbytes)
            sink.close(ok=True)
        finally:
            sink.close(ok=False)
        return path


def _client(endpoint_url: str | None) -> Client:
    if endpoint_url is None:
        return Client()
    credentials = CredentialProvider()
    found = configured_endpoint(credentials)
    return Client(EndpointConfig(endpoint_url, found.region, found.ca_file, found.addressing), credentials)


def _unpickle(tmproot: str, s3root: str | None, encryption: str | None, client: Client) -> S3:
    return S3(tmproot, s3root=s3root, encryption=encryption, client=client)


def _name_of(item: Any) -> str | None:
    if item is None or isinstance(item, str):
        return item
    if not all(hasattr(item, name) for name in ("key", "offset", "length")):
        raise errors.InvalidKey(f"a key must be a str or an S3GetObject, got {type(item).__name__}")
    return item.key  # type: ignore[no-any-return]


def _range_of(place: Place, item: Any) -> ByteRange | None:
    if item is None or isinstance(item, str) or (item.offset is None and item.length is None):
        return None
    offset = item.offset or 0
    if item.length is not None and item.length < 0:
        return ByteRange(suffix=-item.length)  # as metaflow.S3 has it, whatever the offset
    if offset < 0:
        raise errors.InvalidRange(
            f"the offset must not be negative, got {offset}",
            operation="GetObject",
            bucket=place.bucket,
            key=place.key,
        )
    return ByteRange(offset, item.length)


def _value_of(place: Place, value: Value | None, path: str | None) -> Buffer | Path | RawIOBase | BufferedIOBase:
    if path is not None:
        return Path(path)
    if isinstance(value, str):
        try:
            return value.encode()
        except UnicodeEncodeError as error:
            raise errors.ConfigurationError(f"the text for {place.url} is not valid Unicode: {error.reason}") from None
    if isinstance(value, (RawIOBase, BufferedIOBase)):
        if not (value.readable() and value.seekable()):
            raise errors.ConfigurationError(f"the file object for {place.url} must be readable and seekable")
        return value
    try:
        memoryview(value)  # type: ignore[arg-type]
    except TypeError:
        raise errors.ConfigurationError(
            f"the value for {place.url} must be str, bytes-like or a binary file object, got {type(value).__name__}"
        ) from None
    assert value is not None  # no buffer
    return value
