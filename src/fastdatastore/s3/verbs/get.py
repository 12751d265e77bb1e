"""get, get_many: downloads of whole objects and of ranges."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fastdatastore import errors
from fastdatastore.engine.get import ByteRange, GetJob
from fastdatastore.engine.head import HeadJob
from fastdatastore.engine.sinks import SpillSink
from fastdatastore.s3.context import Context
from fastdatastore.s3.objects import RangeInfo, S3Object
from fastdatastore.s3.roots import Place
from fastdatastore.s3.steps import Step, Steps
from fastdatastore.s3.verbs.arguments import Key, checked_version, listed, name_of


def get(at: Context, key: Key, return_missing: bool, return_info: bool, version_id: str | None) -> Steps[S3Object]:
    return (yield from get_many(at, [key], return_missing, return_info, checked_version(version_id)))[0]


def get_many(
    at: Context, keys: Iterable[Key], return_missing: bool, return_info: bool, version_id: str = ""
) -> Steps[list[S3Object]]:
    make_sink = at.client.spill_sinks(at.files.new_path)
    jobs: dict[tuple[str, ByteRange | None], tuple[Place, GetJob | HeadJob, SpillSink]] = {}
    wanted = []
    for item in listed(keys):
        place = at.root.place(name_of(item))
        byte_range = _range_of(place, item)
        wanted.append((place.url, byte_range))
        if wanted[-1] not in jobs:
            sink = make_sink()
            job: GetJob | HeadJob
            if byte_range is not None and byte_range.length == 0:
                job = HeadJob(place.bucket, place.key, version_id)  # no bytes, but whether and what it is
            else:
                job = at.client.get(place.bucket, place.key, sink, byte_range, version_id)
            jobs[wanted[-1]] = (place, job, sink)
    yield Step([job for _, job, _ in jobs.values()], return_missing)
    results = {
        identity: _result(at, place, job, sink, identity[1], return_info)
        for identity, (place, job, sink) in jobs.items()
    }
    return [results[identity] for identity in wanted]


def _result(
    at: Context,
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
        make_path=lambda: at.write(content),
        headers=job.headers if return_info else None,
        range_info=info if return_info else None,
        verified_by=job.verified_by,
    )


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
