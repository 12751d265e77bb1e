"""list_paths, list_recursive: what is below a directory."""

from __future__ import annotations

from collections.abc import Iterable

from fastdatastore.engine.listing import ListJob
from fastdatastore.s3.context import Context
from fastdatastore.s3.objects import S3Object
from fastdatastore.s3.roots import Place
from fastdatastore.s3.steps import Step, Steps
from fastdatastore.s3.verbs.arguments import Key, listed, name_of


def list_paths(at: Context, keys: Iterable[Key] | None) -> Steps[list[S3Object]]:
    places = _directories(at, keys)
    return (yield from _list(at, places, [place.url for place in places], recursive=False))


def list_recursive(at: Context, keys: Iterable[Key] | None) -> Steps[list[S3Object]]:
    places = _directories(at, keys)
    return (yield from _list(at, places, [place.url.rstrip("/") for place in places], recursive=True))


def _directories(at: Context, keys: Iterable[Key] | None) -> list[Place]:
    return [at.root.directory(name_of(key)) for key in (listed(keys) if keys is not None else [None])]


def _list(at: Context, places: list[Place], prefixes: list[str], recursive: bool) -> Steps[list[S3Object]]:
    jobs = [ListJob(place.bucket, place.key, recursive=recursive) for place in places]
    yield Step(jobs, moves=False)
    return [
        S3Object(prefix, f"s3://{job.bucket}/{e.key}", size=e.size, last_modified=e.last_modified)
        for prefix, job in zip(prefixes, jobs, strict=True)
        for e in job.entries
    ]
