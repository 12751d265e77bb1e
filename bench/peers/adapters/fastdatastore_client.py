"""Us: the engine's client, every byte verified."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from bench.peers.adapter import Adapter
from fastdatastore import __version__
from fastdatastore.engine import process
from fastdatastore.engine.client import Client as EngineClient
from fastdatastore.engine.job import Job
from fastdatastore.engine.listing import ListJob

J = TypeVar("J", bound=Job)


class Client(Adapter):
    @property
    def version(self) -> str:
        return __version__  # a checkout that is not installed has no other

    def open(self) -> None:
        self.client = EngineClient()

    def fetch(self, bucket: str, keys: Sequence[str], size: int) -> int:
        received = 0
        for job in self._ended(self.client.get(bucket, key) for key in keys):
            received += len(job.content)
            job.content = memoryview(b"")
        return received

    def store(self, bucket: str, keys: Sequence[str], payload: bytes | Path) -> None:
        for _ in self._ended(self.client.put(bucket, key, payload) for key in keys):
            pass

    def list_keys(self, bucket: str, directory: str) -> int:
        return len(self.client.run_one(ListJob(bucket, f"{directory}/", recursive=True)).entries)

    def _ended(self, jobs: Iterable[J]) -> Iterator[J]:
        for job in self.client.run(jobs):
            if job.error is not None:
                raise job.error
            yield job

    def freshen(self) -> None:
        process.buffer_pool(self.client.settings).trim()
