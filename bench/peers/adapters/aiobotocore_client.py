"""aiobotocore: one call per object, or per part of a large one, on one asyncio loop.

Options: `part` (ranged GETs and a multipart upload of parts of so many bytes; without it one call), `in_flight`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from aiobotocore.config import AioConfig
from aiobotocore.session import get_session

from bench.peers.adapter import Adapter, parts

T = TypeVar("T")


class Client(Adapter):
    distribution = "aiobotocore"

    def open(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.in_flight = int(self.options.get("in_flight", 32))
        self.loop.run_until_complete(self._open())

    async def _open(self) -> None:
        self.room = asyncio.Semaphore(self.in_flight)
        config = AioConfig(max_pool_connections=self.in_flight)
        self.s3 = await get_session().create_client("s3", config=config).__aenter__()

    def fetch(self, bucket: str, keys: Sequence[str], size: int) -> int:
        return sum(self._gather([self._fetch(bucket, key, size) for key in keys]))

    def store(self, bucket: str, keys: Sequence[str], payload: bytes | Path) -> None:
        assert isinstance(payload, bytes)
        self._gather([self._store(bucket, key, payload) for key in keys])

    def _gather(self, calls: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
        async def run() -> list[T]:
            return list(await asyncio.gather(*calls))

        return self.loop.run_until_complete(run())

    async def _limited(self, call: Callable[[], Awaitable[T]]) -> T:
        async with self.room:
            return await call()

    async def _fetch(self, bucket: str, key: str, size: int) -> int:
        async def whole() -> int:
            reply = await self.s3.get_object(Bucket=bucket, Key=key)
            async with reply["Body"] as body:
                return len(await body.read())

        part = self.options.get("part", size)
        if size <= part:
            return await self._limited(whole)
        target = bytearray(size)

        async def ranged(start: int, end: int) -> int:
            reply = await self.s3.get_object(Bucket=bucket, Key=key, Range=f"bytes={start}-{end - 1}")
            async with reply["Body"] as body:
                content = await body.read()
            target[start:end] = content
            return len(content)

        pieces = [self._limited(partial(ranged, start, end)) for start, end in parts(size, part)]
        return sum(await asyncio.gather(*pieces))

    async def _store(self, bucket: str, key: str, payload: bytes) -> None:
        where: dict[str, Any] = {"Bucket": bucket, "Key": key}
        part = self.options.get("part", len(payload))
        if len(payload) <= part:
            await self._limited(lambda: self.s3.put_object(**where, Body=payload))
            return
        where["UploadId"] = (await self.s3.create_multipart_upload(**where))["UploadId"]

        async def send(number: int, start: int, end: int) -> dict[str, Any]:
            reply = await self.s3.upload_part(**where, PartNumber=number, Body=payload[start:end])
            checksums = {name: value for name, value in reply.items() if name.startswith("ChecksumCRC")}
            return {"PartNumber": number, "ETag": reply["ETag"], **checksums}

        sent = [
            self._limited(partial(send, number, start, end))
            for number, (start, end) in enumerate(parts(len(payload), part), 1)
        ]
        await self.s3.complete_multipart_upload(**where, MultipartUpload={"Parts": await asyncio.gather(*sent)})
