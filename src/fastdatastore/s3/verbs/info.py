"""info: what is known of an object, without its bytes."""

from __future__ import annotations

from fastdatastore.engine.head import HeadJob
from fastdatastore.s3.context import Context
from fastdatastore.s3.objects import RangeInfo, S3Object
from fastdatastore.s3.steps import Step, Steps
from fastdatastore.s3.verbs.arguments import checked_version


def info(at: Context, key: str | None, return_missing: bool, version_id: str | None) -> Steps[S3Object]:
    place = at.root.place(key)
    job = HeadJob(place.bucket, place.key, checked_version(version_id))
    yield Step([job], return_missing)
    if job.error is not None:
        return S3Object(place.prefix, place.url)
    info = RangeInfo(job.size, 0, job.size)
    return S3Object(place.prefix, place.url, size=job.size, headers=job.headers, range_info=info)
