"""Us, as we come. Option: `compression`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bench.artifacts.rival import Rival
from bench.peers.work import BUCKET
from fastdatastore import ArtifactStore, __version__
from fastdatastore.config import Settings
from fastdatastore.engine import process


class Store(Rival):
    @property
    def version(self) -> str:
        return __version__  # a checkout that is not installed has no other

    def open(self) -> None:
        self.store = ArtifactStore(f"s3://{BUCKET}/artifacts", **self.options)

    def put(self, objects: Sequence[Any]) -> list[str]:
        if len(objects) == 1:
            return [self.store.put(objects[0])]
        return self.store.put_many(objects)

    def get(self, names: Sequence[str]) -> list[Any]:
        if len(names) == 1:
            return [self.store.get(names[0])]
        return self.store.get_many(names)

    def freshen(self) -> None:
        process.buffer_pool(Settings()).trim()
