"""get, get_many, iter_many: downloads into memory, or what is beyond its ceiling into files that are ours."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

from fastdatastore.engine.job import Job
from fastdatastore.s3.context import Context
from fastdatastore.s3.objects import S3Object
from fastdatastore.s3.steps import Step, Steps
from fastdatastore.s3.verbs.arguments import Key, checked_version, counted, listed
from fastdatastore.s3.verbs.downloads import Downloads, Wanted, wanted_of


def get(at: Context, key: Key, return_missing: bool, return_info: bool, version_id: str | None) -> Steps[S3Object]:
    return (yield from get_many(at, [key], return_missing, return_info, checked_version(version_id)))[0]


def get_many(
    at: Context, keys: Iterable[Key], return_missing: bool, return_info: bool, version_id: str = ""
) -> Steps[list[S3Object]]:
    # All keys are looked at before the first request goes out. Bytes that are asked for twice are fetched once.
    asked: list[object] = []
    found: dict[object, Wanted | S3Object] = {}
    for item in listed(keys):
        wanted = wanted_of(at, item)
        identity = wanted.identity
        asked.append(identity)
        found[identity] = wanted
    downloads = Downloads(at, return_info, version_id)

    def keep(ended: Job) -> None:
        wanted, result = downloads.end(ended)
        found[wanted.identity] = result

    jobs = (downloads.begin(cast(Wanted, wanted)) for wanted in found.values())
    yield Step(jobs, return_missing, keep, len(found))
    return [cast(S3Object, found[identity]) for identity in asked]


def iter_many(at: Context, keys: Iterable[Key], return_missing: bool, return_info: bool) -> Step:
    """The one step whose results are to be yielded as its jobs end."""
    downloads = Downloads(at, return_info)
    jobs = (downloads.begin(wanted_of(at, item)) for item in listed(keys))
    return Step(jobs, return_missing, lambda ended: downloads.end(ended)[1], counted(keys))
