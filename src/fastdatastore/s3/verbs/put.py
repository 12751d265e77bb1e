"""put, put_many: uploads from memory, files and file objects."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from io import BufferedIOBase, RawIOBase
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from fastdatastore import errors
from fastdatastore.engine.head import HeadJob
from fastdatastore.engine.put import PutJob
from fastdatastore.engine.request import Pairs
from fastdatastore.s3.context import Context
from fastdatastore.s3.objects import USER_ATTRIBUTES, S3PutObject
from fastdatastore.s3.roots import Place
from fastdatastore.s3.steps import Step, Steps
from fastdatastore.s3.stored import StoredURL

if TYPE_CHECKING:
    from typing_extensions import Buffer

Value: TypeAlias = "str | Buffer | RawIOBase | BufferedIOBase"


def put(
    at: Context,
    key: str | None,
    obj: Value,
    overwrite: bool,
    content_type: str | None,
    metadata: Mapping[str, Any] | None,
) -> Steps[StoredURL]:
    place = at.root.place(key)
    if not overwrite and (yield from _existing(at, [place])):
        return StoredURL(place.url)
    job = _put_job(at, place, S3PutObject(place.key, obj, content_type=content_type, metadata=metadata))
    yield Step([job])
    return stored(place, job)


def put_many(
    at: Context, key_objs: Iterable[tuple[str, Value] | S3PutObject], overwrite: bool
) -> Steps[list[tuple[str, StoredURL]]]:
    rows: list[tuple[str, Place, PutJob]] = []
    for row in key_objs:
        item = row if isinstance(row, S3PutObject) else S3PutObject(*row)
        place = at.root.place(item.key)
        rows.append((item.key, place, _put_job(at, place, item)))
    if not overwrite:
        there = yield from _existing(at, [place for _, place, _ in rows])
        rows = [row for row in rows if row[1].url not in there]
    yield Step([job for _, _, job in rows])
    return [(key, stored(place, job)) for key, place, job in rows]


def stored(place: Place, job: PutJob) -> StoredURL:
    return StoredURL(place.url, job.version_id or None, job.etag or None)


def _existing(at: Context, places: list[Place]) -> Steps[set[str]]:
    jobs = {place.url: HeadJob(place.bucket, place.key) for place in places}
    yield Step(list(jobs.values()), missing_ok=True)
    return {url for url, job in jobs.items() if job.error is None}


def _put_job(at: Context, place: Place, item: S3PutObject) -> PutJob:
    return at.client.put(place.bucket, place.key, _value_of(place, item.value, item.path), _headers(at, item))


def _headers(at: Context, item: S3PutObject) -> Pairs:
    return described(item.content_type, item.metadata) + at.client.options.storing(item.encryption)


def described(content_type: str | None, metadata: Mapping[str, Any] | None) -> Pairs:
    """The headers that describe an object."""
    headers: Pairs = ()
    if content_type:
        headers += (("content-type", content_type),)
    if metadata:
        try:
            headers += ((USER_ATTRIBUTES, json.dumps(dict(metadata), allow_nan=False)),)
        except (TypeError, ValueError) as error:
            raise errors.ConfigurationError(f"metadata must be what JSON can hold: {error}") from None
    for name, value in headers:
        if any(c < " " or c == "\x7f" for c in value):
            raise errors.ConfigurationError(f"{name} must not hold control characters, got {value!r}")
    return headers


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
