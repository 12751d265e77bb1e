"""put, put_many, put_files: uploads from memory, files and file objects; put_stream: of what can be read but once."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import BufferedIOBase, RawIOBase
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from fastdatastore import errors
from fastdatastore.engine.head import HeadJob
from fastdatastore.engine.put import PutJob, PutStreamJob
from fastdatastore.engine.request import Pairs
from fastdatastore.engine.streams import Streamable
from fastdatastore.s3.context import Context
from fastdatastore.s3.objects import USER_ATTRIBUTES, S3PutObject
from fastdatastore.s3.roots import Place
from fastdatastore.s3.steps import Step, Steps
from fastdatastore.s3.stored import StoredURL
from fastdatastore.s3.verbs.arguments import counted, name_of

if TYPE_CHECKING:
    from typing_extensions import Buffer

Value: TypeAlias = "str | Buffer | RawIOBase | BufferedIOBase"
Check: TypeAlias = "Callable[[Context, Any], Upload]"

# What S3 itself assumes. Said, because SeaweedFS guesses by the content, and others have other defaults.
CONTENT_TYPE = "binary/octet-stream"

# With overwrite=False so many are looked for at once; their values are in memory meanwhile.
BATCH = 64


@dataclass(frozen=True, slots=True)
class Upload:
    """What is to be stored, checked.

    Attributes:
        key: As it was given.
    """

    key: str
    place: Place
    content: Buffer | Path | RawIOBase | BufferedIOBase
    headers: Pairs


def put(
    at: Context,
    key: str | S3PutObject | None,
    obj: Value,
    overwrite: bool,
    content_type: str | None,
    metadata: Mapping[str, Any] | None,
    resume: bool,
) -> Steps[StoredURL]:
    name = name_of(key)
    content = _content(name, obj)
    upload = Upload(name or "", at.root.place(name), content, _headers(at, content_type, metadata, None))
    if not overwrite and (yield from _existing([upload.place])):
        if isinstance(content, (RawIOBase, BufferedIOBase)):
            content.close()
        return StoredURL(upload.place.url)
    return (yield from _store(upload.place, _job(at, upload, resume)))


def _store(place: Place, job: PutJob | PutStreamJob) -> Steps[StoredURL]:
    yield Step([job])
    return StoredURL(place.url, job.version_id or None, job.etag or None)


def put_stream(
    at: Context,
    key: str | S3PutObject | None,
    stream: Streamable,
    overwrite: bool,
    content_type: str | None,
    metadata: Mapping[str, Any] | None,
) -> Steps[StoredURL]:
    place = at.root.place(name_of(key))
    headers = _headers(at, content_type, metadata, None)
    if not overwrite and (yield from _existing([place])):
        return StoredURL(place.url)
    return (yield from _store(place, at.client.put_stream(place.bucket, place.key, stream, headers)))


def put_many(at: Context, key_objs: Iterable[Any], overwrite: bool, resume: bool) -> Steps[list[tuple[str, str]]]:
    return (yield from _put_all(at, key_objs, _of_value, overwrite, resume))


def put_files(at: Context, key_paths: Iterable[Any], overwrite: bool, resume: bool) -> Steps[list[tuple[str, str]]]:
    return (yield from _put_all(at, key_paths, _of_file, overwrite, resume))


def _put_all(
    at: Context, rows: Iterable[Any], check: Check, overwrite: bool, resume: bool
) -> Steps[list[tuple[str, str]]]:
    uploads: Iterable[Upload] = (check(at, row) for row in rows)
    if isinstance(rows, Sequence):
        uploads = list(uploads)  # a wrong one is said before anything is sent
    stored: list[tuple[str, str]] = []
    if overwrite:
        for wave in _waves(iter(uploads), sys.maxsize):
            yield Step(_jobs(at, wave, stored, resume), count=counted(rows))
        return stored
    for wave in _waves(iter(uploads), BATCH):
        batch = list(wave)
        there = yield from _existing([upload.place for upload in batch])
        yield Step(_jobs(at, [upload for upload in batch if upload.place.url not in there], stored, resume))
    return stored


def _waves(uploads: Iterator[Upload], most: int) -> Iterator[Iterator[Upload]]:
    """Cuts them into waves that run one after the other, of `most` at once and where a key comes again.

    So of two values for one key the later one is stored later, as if they were put one by one.
    """
    ahead = next(uploads, None)

    def wave() -> Iterator[Upload]:
        nonlocal ahead
        seen: set[tuple[str, str]] = set()
        while ahead is not None and (name := (ahead.place.bucket, ahead.place.key)) not in seen and len(seen) < most:
            seen.add(name)
            yield ahead
            ahead = next(uploads, None)

    while ahead is not None:
        yield wave()


def _jobs(at: Context, uploads: Iterable[Upload], stored: list[tuple[str, str]], resume: bool) -> Iterator[PutJob]:
    """Jobs made one by one, so that of what is generated only what is on its way is in memory."""
    for upload in uploads:
        stored.append((upload.key, upload.place.url))
        yield _job(at, upload, resume)


def _job(at: Context, upload: Upload, resume: bool) -> PutJob:
    return at.client.put(upload.place.bucket, upload.place.key, upload.content, upload.headers, resume=resume)


def _existing(places: list[Place]) -> Steps[set[str]]:
    jobs = {place.url: HeadJob(place.bucket, place.key) for place in places}
    yield Step(list(jobs.values()), missing_ok=True, moves=False)
    return {url for url, job in jobs.items() if job.error is None}


# ---- what users give ----


def _of_value(at: Context, row: Any) -> Upload:
    key, value = (row.key, row.value) if hasattr(row, "value") else row[:2]
    if value is None and getattr(row, "path", None) is not None:
        return _of_file(at, row)
    content = _content(key, value)
    if isinstance(content, (RawIOBase, BufferedIOBase)):
        content = _Lent(content)
    return Upload(key, at.root.place(key), content, _headers_of(at, row))


def _of_file(at: Context, row: Any) -> Upload:
    key, path = (row.key, row.path) if hasattr(row, "path") else row[:2]
    if not isinstance(path, (str, bytes, os.PathLike)):
        raise errors.InvalidObject(f"the file for {key!r} must be given by its path, got {type(path).__name__}")
    file = Path(os.fsdecode(path))
    if not file.exists():
        raise errors.LocalFileNotFound(f"there is no file {file}; check the path")
    return Upload(key, at.root.place(key), file, _headers_of(at, row))


class _Lent(RawIOBase):
    """A file object from where it stands on, and left open: so put_many has it, unlike put."""

    def __init__(self, file: RawIOBase | BufferedIOBase) -> None:
        self._file = file
        self._start = file.tell()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._file.seek(offset + (self._start if whence == os.SEEK_SET else 0), whence) - self._start

    def readinto(self, buffer: Any) -> int | None:
        return self._file.readinto(buffer)


def _headers_of(at: Context, row: Any) -> Pairs:
    given = (getattr(row, name, None) for name in ("content_type", "metadata", "encryption"))
    return _headers(at, *given)


def _headers(
    at: Context, content_type: str | None, metadata: Mapping[str, Any] | None, encryption: str | None
) -> Pairs:
    return described(content_type or CONTENT_TYPE, metadata) + at.client.options.storing(encryption)


def described(content_type: str | None, metadata: Mapping[str, Any] | None) -> Pairs:
    """The headers that describe an object."""
    headers: Pairs = (("content-type", content_type),) if content_type else ()
    if metadata:
        try:
            headers += ((USER_ATTRIBUTES, json.dumps(dict(metadata))),)
        except (TypeError, ValueError) as error:
            raise errors.ConfigurationError(f"metadata must be what JSON can hold: {error}") from None
    for name, value in headers:
        if not (value.isascii() and value.isprintable()):
            raise errors.ConfigurationError(f"{name} must be of printable ASCII characters, got {value!r}")
    return headers


def _content(key: str | None, value: Any) -> Buffer | RawIOBase | BufferedIOBase:
    if isinstance(value, str):
        try:
            return value.encode()
        except UnicodeEncodeError as error:
            raise errors.InvalidObject(f"the text for {key!r} is not valid Unicode: {error.reason}") from None
    if isinstance(value, (RawIOBase, BufferedIOBase)):
        if value.closed:
            raise errors.InvalidObject(f"the file object for {key!r} is closed; give one that is open")
        if not (value.readable() and value.seekable()):
            raise errors.InvalidObject(
                f"the file object for {key!r} must be readable and seekable; put_stream takes what can't be sought"
            )
        return value
    try:
        memoryview(value)
    except TypeError:
        raise errors.InvalidObject(
            f"the value for {key!r} must be str, bytes-like or a binary file object, got {type(value).__name__}"
        ) from None
    return value  # type: ignore[no-any-return]
