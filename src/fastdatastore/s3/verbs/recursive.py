"""get_recursive, get_all: downloads of all that is below a directory."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import replace

from fastdatastore.engine.listing import ListJob
from fastdatastore.errors import InvalidKey
from fastdatastore.s3.context import Context
from fastdatastore.s3.objects import S3Object
from fastdatastore.s3.roots import Root
from fastdatastore.s3.steps import Step, Steps
from fastdatastore.s3.verbs import get
from fastdatastore.s3.verbs.arguments import Key, listed, name_of


def get_recursive(
    at: Context, keys: Iterable[Key], return_info: bool, raw_prefixes: bool = False
) -> Steps[list[S3Object]]:
    names = [name_of(key) for key in listed(keys)]
    places = [at.root.directory(name) for name in names]
    # metaflow.S3 gives keys relative to what was asked for; with info, relative to the root.
    prefixes = [at.root.url if return_info or raw_prefixes else place.url.rstrip("/") for place in places]
    if raw_prefixes:
        places = [at.root.beginning(name) for name in names]
    listings = [ListJob(place.bucket, place.key, recursive=True) for place in places]
    yield Step(listings, moves=False)
    if not raw_prefixes:
        yield from _look_beside([listing for listing in listings if not listing.entries])
    found = [
        (f"s3://{listing.bucket}/{entry.key}", prefix)
        for listing, prefix in zip(listings, prefixes, strict=True)
        for entry in listing.entries
    ]
    got = yield from get.get_many(replace(at, root=Root(None)), [url for url, _ in found], False, return_info)
    return [each.relative_to(prefix) for each, (_, prefix) in zip(got, found, strict=True)]


def get_all(at: Context, return_info: bool) -> Steps[list[S3Object]]:
    if at.root.url is None:
        raise InvalidKey("get_all needs a root: give S3 an s3root, or inside of a flow run=self")
    return (yield from get_recursive(at, [None], return_info))


def _look_beside(empty: list[ListJob]) -> Steps[None]:
    """Warns of keys that only begin like a directory in which nothing was found: metaflow.S3 would have taken them."""
    beside = [ListJob(job.bucket, job.prefix.rstrip("/"), recursive=True, page="") for job in empty if job.prefix]
    yield Step(beside, moves=False)
    for job in beside:
        if job.entries:
            warnings.warn(
                f"there is nothing below s3://{job.bucket}/{job.prefix}, but there are keys that begin like it, such "
                f"as {job.entries[0].key!r}: to get these say raw_prefixes=True",
                UserWarning,
                stacklevel=5,
            )
