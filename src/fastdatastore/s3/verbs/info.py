"""info, info_many: what is known of objects, without their bytes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

from fastdatastore.engine.head import HeadJob
from fastdatastore.engine.job import Job
from fastdatastore.s3.context import Context
from fastdatastore.s3.objects import S3Object
from fastdatastore.s3.roots import Place
from fastdatastore.s3.steps import Step, Steps
from fastdatastore.s3.verbs.arguments import Key, checked_version, listed, name_of


def info(at: Context, key: Key, return_missing: bool, version_id: str | None) -> Steps[S3Object]:
    return (yield from info_many(at, [key], return_missing, checked_version(version_id)))[0]


def info_many(at: Context, keys: Iterable[Key], return_missing: bool, version_id: str = "") -> Steps[list[S3Object]]:
    # Jobs are made late and nothing is kept of them, so that there may be many.
    asked = [at.root.place(name_of(key)) for key in listed(keys)]
    found: dict[str, S3Object] = {}
    begun: dict[Job, Place] = {}

    def begin(place: Place) -> Job:
        job = HeadJob(place.bucket, place.key, version_id)
        begun[job] = place
        return job

    def keep(ended: Job) -> None:
        place = begun.pop(ended)
        found[place.url] = _result(place, cast(HeadJob, ended))

    places = {place.url: place for place in asked}
    yield Step(map(begin, places.values()), return_missing, keep, moves=False)
    return [found[place.url] for place in asked]


def _result(place: Place, job: HeadJob) -> S3Object:
    if job.error is not None:
        return S3Object(place.prefix, place.url)
    return S3Object(place.prefix, place.url, size=job.size, headers=job.headers)
