"""delete, delete_many."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from fastdatastore import errors
from fastdatastore.engine.delete import DeleteJob, DeleteManyJob, deletions, failure_of
from fastdatastore.engine.job import Job
from fastdatastore.s3.context import Context
from fastdatastore.s3.steps import Step, Steps
from fastdatastore.s3.verbs.arguments import checked_version, listed


@dataclass(frozen=True)
class _Deletions(Step):
    """Failures that concern single keys do not stop the others."""

    moves: bool = False
    failures: list[errors.S3Error] = field(default_factory=list)

    def result(self, ended: Job) -> None:
        failures = ended.failures if isinstance(ended, DeleteManyJob) else []
        self.failures.extend(failures)
        if not failures:
            super().result(ended)


def delete(at: Context, key: str | None, version_id: str | None) -> Steps[None]:
    place = at.root.place(key)
    yield Step([DeleteJob(place.bucket, place.key, checked_version(version_id))], moves=False)


def delete_many(at: Context, keys: Iterable[str | None]) -> Steps[None]:
    buckets: dict[str, list[str]] = {}
    for key in listed(keys):
        place = at.root.place(key)
        buckets.setdefault(place.bucket, []).append(place.key)
    step = _Deletions(job for bucket, names in buckets.items() for job in deletions(bucket, names))
    yield step
    if step.failures:
        raise failure_of(step.failures, sum(map(len, buckets.values())))
