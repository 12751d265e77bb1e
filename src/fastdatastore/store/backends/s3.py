"""A prefix of a bucket as a back end: s3://bucket/prefix, on any server that the engine knows.

The engine tries again, resumes and verifies (engine/). An object of a few MiB is one request; each body goes with its
CRC-64/NVME, and what is read is checked by its length only, because a store knows a digest of every byte.

Conditions are the server's where it knows them, see engine/put/condition.py. Of the servers that we test against all do
for objects of one request. On one that ignores them, a writer who comes between our look and our write wins unnoticed.
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import closing
from email.utils import parsedate_to_datetime
from typing import TypeVar

from fastdatastore import errors
from fastdatastore.auth.endpoint import check_bucket, check_key
from fastdatastore.engine.client import Client
from fastdatastore.engine.delete import DeleteManyJob, deletions, failure_of
from fastdatastore.engine.get import GetJob
from fastdatastore.engine.head import ExistenceJob
from fastdatastore.engine.integrity import expected_of
from fastdatastore.engine.job import Job
from fastdatastore.engine.listing import ListJob
from fastdatastore.engine.put import Condition, PutJob
from fastdatastore.engine.request import Request
from fastdatastore.store.backends.base import (
    UNKNOWN,
    Entry,
    Existence,
    Found,
    R,
    Read,
    W,
    Watch,
    Write,
    check_name,
    check_prefix,
    is_name,
)

# How often a read begins anew because the object was replaced in the middle of it.
_MOST_REPLACED = 3

J = TypeVar("J", bound=Job)
T = TypeVar("T")


class S3Backend:
    """Objects of a bucket whose keys begin with `prefix` and a slash; pickles as configuration.

    Args:
        prefix: "" is the whole bucket.

    Raises:
        InvalidKey: It is no name of a bucket, or the prefix no name (base.check_name).
    """

    def __init__(self, client: Client, bucket: str, prefix: str = "") -> None:
        check_bucket(bucket)
        self.client = client
        self.bucket = bucket
        self.prefix = check_name(prefix) + "/" if prefix else ""

    def __repr__(self) -> str:
        return f"<S3Backend s3://{self.bucket}/{self.prefix} at {self.client.remote.endpoint}>"

    def _key(self, name: str) -> str:
        key = self.prefix + check_name(name)
        check_key(key)
        return key

    def _name(self, key: str) -> str:
        return key[len(self.prefix) :]

    # ---- reading ----

    def found(self, names: Iterable[str], watch: Watch = None) -> Generator[tuple[str, Existence], None, None]:
        jobs = (ExistenceJob(self.bucket, self._key(name)) for name in names)
        with closing(self.client.run(jobs, _on_turn(watch))) as ended:
            for job in ended:
                yield self._name(job.key), _found(job)

    def read(self, requests: Iterable[R | None], watch: Watch = None) -> Generator[R, None, None]:
        again: deque[R] = deque()
        replaced: Counter[R] = Counter()

        def items() -> Iterator[R | None]:
            for item in requests:
                while again:
                    yield again.popleft()
                yield item

        drawn: Iterable[R | None] = items()
        while drawn:
            with closing(self._each(drawn, self._get, self._has_read, watch)) as ended:
                for item in ended:
                    if isinstance(item.error, errors.Modified) and replaced[item] < _MOST_REPLACED:
                        replaced[item] += 1
                        again.append(item)
                    else:
                        yield item
            drawn = [again.popleft() for _ in range(len(again))]

    def _get(self, item: Read) -> Job:
        return self.client.get_block(self.bucket, self._key(item.name), item.place)

    def _has_read(self, item: Read, job: Job) -> None:
        item.error = job.error
        if isinstance(job, GetJob):
            item.size, item.etag = job.size, _bare(job.headers.get("etag", ""))
            learnt = self.client.remote.learnt(self.bucket)
            if learnt.checksums is None and expected_of(job.headers):
                # So the first chunks of a put need no SHA-256 over plain HTTP. (Where this is not so, they show it.)
                learnt.checksums = True

    def list(self, prefix: str, watch: Watch = None) -> Generator[Entry, None, None]:
        above = self.prefix + check_prefix(prefix)
        page: str | None = ""
        while page is not None:
            job = self._one(ListJob(self.bucket, above, recursive=True, page=page), watch)
            page = job.next_page
            for found in job.entries:
                name = self._name(found.key)
                if is_name(name):
                    yield Entry(name, found.size or 0, found.last_modified or 0.0, _bare(found.etag))

    # ---- writing ----

    def write(self, items: Iterable[W | None], watch: Watch = None) -> Generator[W, None, None]:
        return self._each(items, self._put, _has_written, watch)

    def _put(self, item: Write) -> Job:
        conditional = item.if_none_match or item.if_match is not None
        condition = Condition(item.if_match or "") if conditional else None
        return self.client.put_block(self.bucket, self._key(item.name), item.pieces, condition=condition)

    def delete(self, names: Iterable[str], watch: Watch = None) -> bool:
        count = 0
        is_all = True
        failures: list[errors.S3Error] = []

        def keys() -> Iterator[str]:
            nonlocal count
            for name in names:
                count += 1
                yield self._key(name)

        with closing(self.client.run(deletions(self.bucket, keys()), _on_turn(watch))) as ended:
            for job in ended:
                is_all = is_all and job.attempts == 1
                if isinstance(job, DeleteManyJob) and job.failures:
                    failures += job.failures
                elif job.error is not None:
                    raise job.error
        if failures:
            raise failure_of(failures, count)
        return is_all

    def now(self, watch: Watch = None) -> float:
        """By the Date of a reply."""
        job = self._one(ExistenceJob(self.bucket, self.prefix + "store.json"), watch)
        now = _time(job.headers, "date")
        if now is None:
            raise errors.ProtocolError(
                f"the server's reply has the Date {job.headers.get('date', '')!r}, which is no time",
                operation="HeadObject",
                bucket=self.bucket,
            )
        return now

    def _one(self, job: J, watch: Watch) -> J:
        with closing(self.client.run([job], _on_turn(watch))) as ended:
            for each in ended:
                if each.error is not None:
                    raise each.error
        return job

    def _each(
        self, items: Iterable[T | None], job_of: Callable[[T], Job], note: Callable[[T, Job], None], watch: Watch
    ) -> Generator[T, None, None]:
        """Runs a job for each item, drawn as there is room; yields the item when the job has ended."""
        on_the_way: dict[Job, T] = {}

        def jobs() -> Iterator[Job | None]:
            for item in items:
                if item is None:
                    yield None
                    continue
                try:
                    job = job_of(item)
                except errors.FastDatastoreError as error:
                    job = _Refused(self.bucket, error)
                on_the_way[job] = item
                yield job

        with closing(self.client.run(jobs(), _on_turn(watch))) as ended:
            for job in ended:
                item = on_the_way.pop(job)
                note(item, job)
                yield item


class _Refused(Job):
    """What cannot even be asked for."""

    def __init__(self, bucket: str, why: Exception) -> None:
        super().__init__(bucket)
        self._why = why

    def next_request(self) -> Request | None:
        raise self._why


def _on_turn(watch: Watch) -> Callable[[int], None] | None:
    return None if watch is None else lambda moved: watch()


def _found(job: ExistenceJob) -> Existence:
    if isinstance(job.error, errors.NotFound) or job.status == 404:
        return None
    if job.error is not None:
        raise job.error
    if job.status == 403:
        return UNKNOWN
    stored, now = _time(job.headers, "last-modified"), _time(job.headers, "date")
    return Found(job.size, stored or 0.0, math.inf if stored is None or now is None else max(0.0, now - stored))


def _time(headers: Mapping[str, str], name: str) -> float | None:
    try:
        return parsedate_to_datetime(headers.get(name, "")).timestamp()
    except (ValueError, OverflowError):
        return None


def _has_written(item: Write, job: Job) -> None:
    item.error = job.error
    if isinstance(job, PutJob):
        item.etag = _bare(job.etag)


def _bare(etag: str) -> str:
    """Some servers quote it in headers but not in listings."""
    return etag.strip('"')
