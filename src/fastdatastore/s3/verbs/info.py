"""info, info_many: what is known of objects, without their bytes."""

from __future__ import annotations

from collections.abc import Iterable

from fastdatastore.engine.head import HeadJob
from fastdatastore.s3.context import Context
from fastdatastore.s3.objects import S3Object
from fastdatastore.s3.roots import Place
from fastdatastore.s3.steps import Step, Steps
from fastdatastore.s3.verbs.arguments import Key, listed, name_of


def info_many(at: Context, keys: Iterable[Key], return_missing: bool) -> Steps[list[S3Object]]:
    places = [at.root.place(name_of(key)) for key in listed(keys)]
    jobs = {place.url: HeadJob(place.bucket, place.key) for place in places}
    yield Step(list(jobs.values()), return_missing)
    return [_result(place, jobs[place.url]) for place in places]


def _result(place: Place, job: HeadJob) -> S3Object:
    if job.error is not None:
        return S3Object(place.prefix, place.url)
    return S3Object(place.prefix, place.url, size=job.size, headers=job.headers)
