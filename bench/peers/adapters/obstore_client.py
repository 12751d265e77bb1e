"""obstore. Options: `part` (ranged GETs of so many bytes; without it one stream), `in_flight`."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any, TypeVar

import obstore
from obstore.store import S3Store

from bench.peers.adapter import Adapter, parts

T = TypeVar("T")


class Client(Adapter):
    distribution = "obstore"

    def open(self) -> None:
        self.stores: dict[str, S3Store] = {}
        self.in_flight = int(self.options.get("in_flight", 32))

    def _store(self, bucket: str) -> S3Store:
        endpoint = self.endpoint
        if bucket not in self.stores:
            options: dict[str, Any] = {"allow_http": not endpoint.tls}
            if endpoint.ca_file:
                options["root_certificate"] = Path(endpoint.ca_file).read_bytes()
            self.stores[bucket] = S3Store(
                bucket,
                endpoint=endpoint.url,
                region=endpoint.region,
                access_key_id=endpoint.access_key,
                secret_access_key=endpoint.secret_key,
                client_options=options,
            )
        return self.stores[bucket]

    def fetch(self, bucket: str, keys: Sequence[str], size: int) -> int:
        store = self._store(bucket)

        async def whole(key: str) -> int:
            return len(await (await obstore.get_async(store, key)).bytes_async())

        if len(keys) > 1:
            return sum(self._gather([whole(key) for key in keys]))
        if "part" not in self.options:
            return len(obstore.get(store, keys[0]).bytes())
        target = bytearray(size)

        async def ranged(start: int, end: int) -> int:
            content = await obstore.get_range_async(store, keys[0], start=start, end=end)
            target[start:end] = content
            return end - start

        return sum(self._gather([ranged(start, end) for start, end in parts(size, self.options["part"])]))

    def store(self, bucket: str, keys: Sequence[str], payload: bytes | Path) -> None:
        store = self._store(bucket)
        settings: dict[str, Any] = {}
        if "part" in self.options:
            settings = {"chunk_size": self.options["part"], "max_concurrency": self.in_flight}
        if len(keys) == 1:
            obstore.put(store, keys[0], payload, **settings)
            return

        async def put(key: str) -> None:
            await obstore.put_async(store, key, payload, **settings)

        self._gather([put(key) for key in keys])

    def list_keys(self, bucket: str, directory: str) -> int:
        return len(obstore.list(self._store(bucket), directory).collect())

    def _gather(self, calls: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
        async def run() -> list[T]:
            room = asyncio.Semaphore(self.in_flight)

            async def limited(call: Coroutine[Any, Any, T]) -> T:
                async with room:
                    return await call

            return list(await asyncio.gather(*map(limited, calls)))

        return asyncio.run(run())
