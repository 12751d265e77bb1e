"""delete, delete_many."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from fastdatastore import errors
from fastdatastore.engine.delete import MOST_KEYS, DeleteJob, DeleteManyJob, fits_batch
from fastdatastore.engine.job import Job
from fastdatastore.s3.context import Context
from fastdatastore.s3.steps import Step, Steps
from fastdatastore.s3.verbs.arguments import checked_version, listed

_NAMED = 3  # failures that an error's message names


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
        raise _failed(step.failures, sum(map(len, buckets.values())))


def deletions(bucket: str, keys: Iterable[str]) -> Iterator[DeleteJob | DeleteManyJob]:
    """Jobs that delete all these keys, made as they are drawn."""
    batch: list[str] = []
    for key in keys:
        if not fits_batch(key):
            yield DeleteJob(bucket, key)
            continue
        batch.append(key)
        if len(batch) == MOST_KEYS:
            yield DeleteManyJob(bucket, batch)
            batch = []
    if batch:
        yield DeleteManyJob(bucket, batch)


def _failed(failures: list[errors.S3Error], count: int) -> errors.DeleteFailed:
    named = ", ".join(f"s3://{f.bucket}/{f.key} ({f.code or f.reason})" for f in failures[:_NAMED])
    more = f" and {len(failures) - _NAMED:,} more" if len(failures) > _NAMED else ""
    first = failures[0]
    error = errors.DeleteFailed(
        f"{len(failures):,} of {count:,} objects were not deleted: {named}{more}",
        operation=first.operation,
        status=first.status,
        code=first.code,
        request_id=first.request_id,
        attempts=first.attempts,
        elapsed=first.elapsed,
    )
    error.failures = tuple(failures)
    return error
