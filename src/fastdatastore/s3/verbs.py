"""What S3 and AsyncS3 do, without doing it: each verb plans its jobs, and makes its result when they have run.

A verb is a generator of steps. Whoever drives it runs the jobs of each step, in the calling thread or in an event loop,
and goes on when they have ended.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from io import BufferedIOBase, RawIOBase
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from fastdatastore import errors
from fastdatastore.engine.client import Client
from fastdatastore.engine.get import ByteRange, GetJob
from fastdatastore.engine.head import HeadJob
from fastdatastore.engine.job import Job
from fastdatastore.engine.listing import ListJob
from fastdatastore.engine.put import PutJob
from fastdatastore.engine.request import Pairs
from fastdatastore.engine.sinks import SpillSink
from fastdatastore.s3.files import ResultFiles
from fastdatastore.s3.objects import USER_ATTRIBUTES, RangeInfo, S3GetObject, S3Object, S3PutObject
from fastdatastore.s3.roots import Place, Root

if TYPE_CHECKING:
    from typing_extensions import Buffer

Value: TypeAlias = "str | Buffer | RawIOBase | BufferedIOBase"
Key: TypeAlias = str | S3GetObject | None

T = TypeVar("T")
K = TypeVar("K")


@dataclass(frozen=True)
class Step:
    """Jobs to run before a verb goes on; the first error stops them all.

    Attributes:
        missing_ok: An object that is not there is no error.
    """

    jobs: Sequence[Job]
    missing_ok: bool = False

    def check(self, ended: Job) -> None:
        """Raises what stops the verb."""
        if ended.error is not None and not (self.missing_ok and isinstance(ended.error, errors.NotFound)):
            raise ended.error


Steps: TypeAlias = Generator[Step, None, T]


class Verbs:
    """The verbs of one client. Thread-safe: all state is in the generators, the engine's client and the files.

    Args:
        root: What keys are relative to.
        files: Where results that do not fit into memory go.
        encryption: Server-side encryption of what is put, or None.
    """

    def __init__(self, client: Client, root: Root, files: ResultFiles, encryption: str | None) -> None:
        self.client = client
        self.root = root
        self.files = files
        self.encryption = encryption

    # ---- get ----

    def get_many(self, keys: Iterable[Key], return_missing: bool, return_info: bool) -> Steps[list[S3Object]]:
        make_sink = self.client.spill_sinks(self.files.new_path)
        jobs: dict[tuple[str, ByteRange | None], tuple[Place, GetJob | HeadJob, SpillSink]] = {}
        wanted = []
        for item in _listed(keys):
            place = self.root.place(_name_of(item))
            byte_range = _range_of(place, item)
            wanted.append((place.url, byte_range))
            if wanted[-1] not in jobs:
                sink = make_sink()
                job: GetJob | HeadJob
                if byte_range is not None and byte_range.length == 0:
                    job = HeadJob(place.bucket, place.key)  # no bytes, but whether and what it is
                else:
                    job = self.client.get(place.bucket, place.key, sink, byte_range)
                jobs[wanted[-1]] = (place, job, sink)
        yield Step([job for _, job, _ in jobs.values()], return_missing)
        results = {
            identity: self._result(place, job, sink, identity[1], return_info)
            for identity, (place, job, sink) in jobs.items()
        }
        return [results[identity] for identity in wanted]

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
            verified_by=job.verified_by,
        )

    # ---- info ----

    def info(self, key: str | None, return_missing: bool) -> Steps[S3Object]:
        place = self.root.place(key)
        job = HeadJob(place.bucket, place.key)
        yield Step([job], return_missing)
        if job.error is not None:
            return S3Object(place.prefix, place.url)
        info = RangeInfo(job.size, 0, job.size)
        return S3Object(place.prefix, place.url, size=job.size, headers=job.headers, range_info=info)

    # ---- put ----

    def put(
        self,
        key: str | None,
        obj: Value,
        overwrite: bool,
        content_type: str | None,
        metadata: Mapping[str, Any] | None,
    ) -> Steps[str]:
        place = self.root.place(key)
        if overwrite or not (yield from self._existing([place])):
            item = S3PutObject(place.key, obj, content_type=content_type, metadata=metadata)
            yield Step([self._put_job(place, item)])
        return place.url

    def put_many(
        self, key_objs: Iterable[tuple[str, Value] | S3PutObject], overwrite: bool
    ) -> Steps[list[tuple[str, str]]]:
        rows: list[tuple[str, Place, PutJob]] = []
        for row in key_objs:
            item = row if isinstance(row, S3PutObject) else S3PutObject(*row)
            place = self.root.place(item.key)
            rows.append((item.key, place, self._put_job(place, item)))
        if not overwrite:
            there = yield from self._existing([place for _, place, _ in rows])
            rows = [row for row in rows if row[1].url not in there]
        yield Step([job for _, _, job in rows])
        return [(key, place.url) for key, place, _ in rows]

    def _existing(self, places: list[Place]) -> Steps[set[str]]:
        jobs = {place.url: HeadJob(place.bucket, place.key) for place in places}
        yield Step(list(jobs.values()), missing_ok=True)
        return {url for url, job in jobs.items() if job.error is None}

    def _put_job(self, place: Place, item: S3PutObject) -> PutJob:
        return self.client.put(place.bucket, place.key, _value_of(place, item.value, item.path), self._headers(item))

    def _headers(self, item: S3PutObject) -> Pairs:
        headers: Pairs = ()
        if item.content_type:
            headers += (("content-type", item.content_type),)
        if item.metadata:
            try:
                headers += ((USER_ATTRIBUTES, json.dumps(dict(item.metadata), allow_nan=False)),)
            except (TypeError, ValueError) as error:
                raise errors.ConfigurationError(f"metadata must be what JSON can hold: {error}") from None
        if encryption := item.encryption or self.encryption:
            headers += (("x-amz-server-side-encryption", encryption),)
        for name, value in headers:
            if any(c < " " or c == "\x7f" for c in value):
                raise errors.ConfigurationError(f"{name} must not hold control characters, got {value!r}")
        return headers

    # ---- list ----

    def list_paths(self, keys: Iterable[str | None] | None) -> Steps[list[S3Object]]:
        places = [self.root.directory(key) for key in (_listed(keys) if keys is not None else [None])]
        return (yield from self._list(places, [place.url for place in places], recursive=False))

    def list_recursive(self, keys: Iterable[str | None] | None) -> Steps[list[S3Object]]:
        places = [self.root.directory(key) for key in (_listed(keys) if keys is not None else [None])]
        return (yield from self._list(places, [place.url.rstrip("/") for place in places], recursive=True))

    def _list(self, places: list[Place], prefixes: list[str], recursive: bool) -> Steps[list[S3Object]]:
        jobs = [ListJob(place.bucket, place.key, recursive=recursive) for place in places]
        yield Step(jobs)
        return [
            S3Object(prefix, f"s3://{job.bucket}/{e.key}", size=e.size, last_modified=e.last_modified)
            for prefix, job in zip(prefixes, jobs, strict=True)
            for e in job.entries
        ]

    # ---- files ----

    def _write(self, content: memoryview) -> Path:
        path = self.files.new_path()
        sink = self.client.file_sink(path)
        try:
            sink.open(content.nbytes)
            sink.landed(0, content, content.nbytes)
            sink.close(ok=True)
        finally:
            sink.close(ok=False)
        return path


def _listed(keys: Iterable[K]) -> Iterable[K]:
    """`keys`, unless it is one key: its letters would be taken for keys."""
    if isinstance(keys, (str, bytes)):
        raise errors.InvalidKey(f"keys must be a list of keys, got the one key {keys!r}; write [{keys!r}]")
    return keys


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
