"""AsyncS3: S3 for asyncio, over the same engine."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from contextlib import aclosing
from types import TracebackType
from typing import Any, TypeVar, cast

from fastdatastore.s3.face import Face
from fastdatastore.s3.objects import S3Object, S3PutObject
from fastdatastore.s3.steps import Steps
from fastdatastore.s3.stored import StoredURL
from fastdatastore.s3.verbs import copy, delete, get, info, listing, presign, put
from fastdatastore.s3.verbs.arguments import Key
from fastdatastore.s3.verbs.put import Value

T = TypeVar("T")


class AsyncS3(Face):
    """S3 with the same verbs, awaited. Any number of them at once, in any number of event loops and threads.

    Takes the arguments of S3. Sockets never make the event loop wait. What does is short: files are read and written
    by parts of about 8 MiB, and `S3Object.path` writes the whole result when it is first asked for (for a large one
    take `asyncio.to_thread`). A verb that is cancelled leaves nothing behind: its requests are called off, its uploads
    aborted, its memory let go, which may take up to half a second.
    """

    async def __aenter__(self) -> AsyncS3:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Removes the files of all results."""
        await asyncio.to_thread(self._files.close)

    async def _run(self, steps: Steps[T]) -> T:
        while True:
            try:
                step = next(steps)
            except StopIteration as end:
                return cast(T, end.value)
            async with aclosing(self._client.arun(step.jobs)) as jobs:
                async for job in jobs:
                    step.check(job)

    async def get(
        self,
        key: Key = None,
        return_missing: bool = False,
        return_info: bool = True,
        *,
        version_id: str | None = None,
    ) -> S3Object:
        """Downloads one object, or a range of it; see S3.get."""
        return await self._run(get.get(self._context, key, return_missing, return_info, version_id))

    async def get_many(
        self, keys: Iterable[Key], return_missing: bool = False, return_info: bool = True
    ) -> list[S3Object]:
        """Downloads many objects at once, in the order of `keys`; see S3.get_many."""
        return await self._run(get.get_many(self._context, keys, return_missing, return_info))

    async def info(
        self, key: str | None = None, return_missing: bool = False, *, version_id: str | None = None
    ) -> S3Object:
        """Size, content type and metadata of an object, without its bytes; see S3.info."""
        return await self._run(info.info(self._context, key, return_missing, version_id))

    async def put(
        self,
        key: str | None,
        obj: Value,
        overwrite: bool = True,
        content_type: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> StoredURL:
        """Stores one object and returns its URL; see S3.put. `obj` must not be changed before it is stored."""
        return await self._run(put.put(self._context, key, obj, overwrite, content_type, metadata))

    async def put_many(
        self, key_objs: Iterable[tuple[str, Value] | S3PutObject], overwrite: bool = True
    ) -> list[tuple[str, StoredURL]]:
        """Stores many objects at once and returns (key, url) of those that were stored; see S3.put_many."""
        return await self._run(put.put_many(self._context, key_objs, overwrite))

    async def copy(
        self,
        source: str,
        target: str | None,
        *,
        metadata: Mapping[str, Any] | None = None,
        content_type: str | None = None,
        version_id: str | None = None,
    ) -> StoredURL:
        """Copies an object within the store; see S3.copy."""
        return await self._run(copy.copy(self._context, source, target, metadata, content_type, version_id))

    async def delete(self, key: str | None, *, version_id: str | None = None) -> None:
        """Deletes one object, or one version of it; see S3.delete."""
        await self._run(delete.delete(self._context, key, version_id))

    async def delete_many(self, keys: Iterable[str | None]) -> None:
        """Deletes many objects, 1,000 by a request; see S3.delete_many."""
        await self._run(delete.delete_many(self._context, keys))

    async def presign(
        self, key: str | None, *, expires: int = 3600, method: str = "GET", version_id: str | None = None
    ) -> str:
        """A URL for somebody without credentials; see S3.presign."""
        # Credentials may have to be looked for.
        return await asyncio.to_thread(presign.presign, self._context, key, expires, method, version_id)

    async def list_paths(self, keys: Iterable[str | None] | None = None) -> list[S3Object]:
        """The objects and prefixes one level below each key; see S3.list_paths."""
        return await self._run(listing.list_paths(self._context, keys))

    async def list_recursive(self, keys: Iterable[str | None] | None = None) -> list[S3Object]:
        """All objects below each key; see S3.list_recursive."""
        return await self._run(listing.list_recursive(self._context, keys))
