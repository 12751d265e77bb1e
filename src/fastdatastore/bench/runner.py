"""Runs workloads against a target: uploads, downloads, and checks every byte that comes back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from fastdatastore.bench import measure
from fastdatastore.bench.flow import Flow
from fastdatastore.bench.measure import Run
from fastdatastore.bench.source import Source
from fastdatastore.bench.target import Target
from fastdatastore.bench.workloads import ROUND_BYTES, Operation, Workload
from fastdatastore.engine import process
from fastdatastore.engine.get import GetJob
from fastdatastore.engine.job import Job
from fastdatastore.engine.planes.local import local as _native
from fastdatastore.errors import (
    ConnectionLost,
    IntegrityError,
    ProtocolError,
    ServerError,
    Throttled,
)
from fastdatastore.progress.line import LiveLine

# After these the server may have stored the object all the same.
_UNSETTLED = (ConnectionLost, IntegrityError, ProtocolError, ServerError, Throttled)


@dataclass(frozen=True)
class Outcome:
    """A measured workload; with repetitions, the run of median duration.

    Attributes:
        failures: What went wrong with objects that failed or came back wrong, in all runs.
    """

    operation: Operation
    workload: Workload
    run: Run
    failures: tuple[Exception, ...]
    repetitions: int

    @property
    def errors(self) -> int:
        return len(self.failures)

    def __str__(self) -> str:
        return f"{self.operation} {self.workload}"

    @property
    def name(self) -> str:
        """For programs, such as "get 64x4MiB"."""
        return f"{self.operation} {self.workload.name}"


class Runner:
    """Runs workloads against one target.

    Attributes:
        made: Keys that may exist now, through this runner.
        unsettled: Of these, the ones of which it is not known whether the server has stored them, or still will.
    """

    def __init__(self, target: Target, progress: LiveLine, repetitions: int = 1) -> None:
        self.made: set[str] = set()
        self.unsettled: set[str] = set()
        self._target = target
        self._progress = progress
        self._repetitions = repetitions
        self._client = target.client
        self._pool = process.buffer_pool(target.client.settings)

    def measure(self, workload: Workload, operations: tuple[Operation, ...]) -> Iterator[Outcome]:
        """Measures the operations on one workload, uploading what is to be downloaded where needed.

        Raises:
            FastDatastoreError: Nothing of a run succeeded, or an upload that was not to be measured failed.
        """
        crcs: list[int] | None = None
        # What the last workload left on the free list would count in this one's peak of memory.
        self._pool.trim()
        if Operation.PUT in operations or not self._target.has_pattern:
            self._progress.say(f"making {workload}")
            source = Source(self._pool, workload)
            if Operation.GET in operations:
                crcs = [source.crc(number) for number in range(workload.count)]
            if Operation.PUT in operations:
                yield self._repeat(Operation.PUT, workload, lambda: self._put(workload, source, f"put {workload}"))
            else:
                self._expect_all(self._put(workload, source, f"uploading {workload}"))
            # Its memory is what the downloads find recycled.
            del source
        if Operation.GET in operations:
            if workload.most_at_once <= ROUND_BYTES:
                self._expect_all(self._get(workload, crcs, f"warming up {workload}", workload.rounds[:1]))
            rounds = workload.rounds
            yield self._repeat(Operation.GET, workload, lambda: self._get(workload, crcs, f"get {workload}", rounds))

    def _repeat(self, operation: Operation, workload: Workload, once: Callable[[], Run]) -> Outcome:
        runs = [once() for _ in range(self._repetitions)]
        for run in runs:
            if not run.ops:
                raise run.errors[0]
        median = sorted(runs, key=lambda run: run.seconds)[(len(runs) - 1) // 2]
        return Outcome(operation, workload, median, tuple(error for run in runs for error in run.errors), len(runs))

    def _expect_all(self, run: Run) -> None:
        if run.errors:
            raise run.errors[0]

    def _put(self, workload: Workload, source: Source, label: str) -> Run:
        run, flow = Run(), Flow(self._client)

        made_before = frozenset(self.made)

        def jobs(keys: dict[str, int]) -> Iterator[Job]:
            for key, number in keys.items():
                yield self._client.put(self._target.bucket, key, source.content(number))

        with self._progress.following(label, workload.total, flow.moved):
            for numbers in workload.rounds:
                keys = self._keys(workload, numbers)
                self.made.update(keys)
                self.unsettled.update(keys)
                with measure.timed(run, self._target.server):
                    ended = flow.run(jobs(keys))
                for job in ended:
                    _count(run, job)
                    if not isinstance(job.error, _UNSETTLED):
                        self.unsettled.discard(job.key)
                        if job.error is not None and job.key not in made_before:
                            self.made.discard(job.key)
        return run

    def _keys(self, workload: Workload, numbers: range) -> dict[str, int]:
        return {workload.key(self._target.prefix, number): number for number in numbers}

    def _get(self, workload: Workload, crcs: list[int] | None, label: str, rounds: list[range]) -> Run:
        run, flow = Run(), Flow(self._client)
        mapped_before = self._pool.state()["mapped"]

        total = sum(len(numbers) for numbers in rounds) * workload.object_size
        with self._progress.following(label, total, flow.moved):
            for numbers in rounds:
                keys = self._keys(workload, numbers)
                with measure.timed(run, self._target.server):
                    ended = flow.run(self._client.get(self._target.bucket, key) for key in keys)
                for job in ended:
                    if job.error is None:
                        job.error = _check(job, workload, crcs[keys[job.key]] if crcs else None)
                    _count(run, job)
                # The last references: the memory goes back to the pool before the next round.
                del job, ended
        run.fresh_regions = self._pool.state()["mapped"] - mapped_before
        return run


def _check(job: GetJob, workload: Workload, crc: int | None) -> IntegrityError | None:
    """Our own look at what came, beside the engine's."""
    got = job.content.nbytes
    if got != workload.object_size:
        what = f"{got:,} bytes came, {workload.object_size:,} were expected"
    elif crc is not None and _native.crc(_native.CRC64NVME, job.content) != crc:
        what = "the bytes that came are not the ones that were uploaded, though the engine took them for right"
    else:
        return None
    return IntegrityError(what, operation=job.operation, bucket=job.bucket, key=job.key, attempts=job.attempts)


def _count(run: Run, job: Job) -> None:
    run.retries += job.retries
    if job.error is not None:
        run.errors.append(job.error)
        return
    run.ops += 1
    run.bytes += job.size
    run.latencies.append(job.ended - job.began)
    run.verified_by.add(job.verified_by or "none")
