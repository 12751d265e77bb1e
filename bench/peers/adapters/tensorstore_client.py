"""tensorstore's key-value store. Options: `part` (reads of so many bytes in parallel), `in_flight`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tensorstore as ts

from bench.peers.adapter import Adapter, parts


class Client(Adapter):
    distribution = "tensorstore"

    def open(self) -> None:
        self.stores: dict[str, Any] = {}

    def _store(self, bucket: str) -> Any:
        if bucket not in self.stores:
            concurrency = self.options.get("in_flight")
            limits = {"s3_request_concurrency": {"limit": concurrency}} if concurrency else {}
            spec = {
                "driver": "s3",
                "bucket": bucket,
                "endpoint": self.endpoint.url,
                "aws_region": self.endpoint.region,
                "aws_credentials": {"type": "environment"},
            }
            self.stores[bucket] = ts.KvStore.open({**spec, "context": limits}).result()
        return self.stores[bucket]

    def fetch(self, bucket: str, keys: Sequence[str], size: int) -> int:
        store = self._store(bucket)
        if len(keys) == 1 and size > self.options.get("part", size):
            target = bytearray(size)
            pieces = parts(size, self.options["part"])
            started = [store.read(keys[0], byte_range=slice(start, end)) for start, end in pieces]
            for (start, end), future in zip(pieces, started, strict=True):
                target[start:end] = future.result().value
            return size
        started = [store.read(key) for key in keys][::-1]
        received = 0
        while started:
            received += len(started.pop().result().value)
        return received

    def store(self, bucket: str, keys: Sequence[str], payload: bytes | Path) -> None:
        store = self._store(bucket)
        for future in [store.write(key, payload) for key in keys]:
            future.result()
