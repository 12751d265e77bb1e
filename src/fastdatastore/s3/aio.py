"""AsyncS3: S3 for asyncio, over the same engine."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable, Mapping
from contextlib import AsyncExitStack, aclosing
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, cast

from fastdatastore.engine import aside
from fastdatastore.engine.aside import AwaitedChunks
from fastdatastore.engine.job import Job
from fastdatastore.engine.streams import Streamable
from fastdatastore.progress.meter import Meter
from fastdatastore.progress.show import Wish, metered
from fastdatastore.s3.face import Face
from fastdatastore.s3.objects import S3Object, S3PutObject
from fastdatastore.s3.steps import Step, Steps
from fastdatastore.s3.stored import StoredURL
from fastdatastore.s3.verbs import copy, delete, get, get_to, info, listing, presign, put, recursive
from fastdatastore.s3.verbs.arguments import Key
from fastdatastore.s3.verbs.get_to import LocalPath
from fastdatastore.s3.verbs.put import Value

if TYPE_CHECKING:
    from typing_extensions import Buffer

T = TypeVar("T")
Runner: TypeAlias = "Callable[[Iterable[Job], Callable[[int], None] | None], AsyncGenerator[Job, None]]"


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

    async def _run(self, steps: Steps[T], progress: Wish = None, arun: Runner | None = None) -> T:
        self._files.warn_if_closed(stacklevel=3)
        with metered(progress) as meter:
            while True:
                try:
                    step = next(steps)
                except StopIteration as end:
                    return cast(T, end.value)
                async with aclosing(self._results(step, meter, arun or self._client.arun)) as results:
                    async for _ in results:
                        pass

    async def _results(self, step: Step, meter: Meter | None, arun: Runner) -> AsyncGenerator[Any, None]:
        if not step.moves:
            meter = None
        jobs = step.jobs if meter is None else meter.watched(step.jobs, step.total)
        async with aclosing(arun(jobs, None if meter is None else meter.tick)) as ended:
            async for job in ended:
                if meter is not None:
                    meter.ended(job)
                try:
                    result = step.result(job)
                except Exception as error:
                    await ended.athrow(error)
                yield result
                del result

    async def get(
        self,
        key: Key = None,
        return_missing: bool = False,
        return_info: bool = True,
        *,
        version_id: str | None = None,
        progress: Wish = None,
    ) -> S3Object:
        """Downloads one object, or a range of it; see S3.get."""
        return await self._run(get.get(self._context, key, return_missing, return_info, version_id), progress)

    async def get_many(
        self,
        keys: Iterable[Key],
        return_missing: bool = False,
        return_info: bool = True,
        *,
        progress: Wish = None,
    ) -> list[S3Object]:
        """Downloads many objects at once, in the order of `keys`; see S3.get_many."""
        return await self._run(get.get_many(self._context, keys, return_missing, return_info), progress)

    def iter_many(
        self,
        keys: Iterable[Key],
        return_missing: bool = False,
        return_info: bool = True,
        *,
        progress: Wish = None,
    ) -> AsyncGenerator[S3Object, None]:
        """Downloads many objects and yields each as soon as it is whole, for `async for`; see S3.iter_many.

        Who leaves the loop early closes it by `contextlib.aclosing`; else that is the event loop's, some time later.
        """
        self._files.warn_if_closed(stacklevel=2)
        return self._stream(get.iter_many(self._context, keys, return_missing, return_info), progress)

    async def _stream(self, step: Step, progress: Wish) -> AsyncGenerator[S3Object, None]:
        with metered(progress) as meter:
            async with aclosing(self._results(step, meter, self._client.arun)) as results:
                async for result in results:
                    yield result
                    del result  # while the next one comes, this one is the caller's alone

    async def get_into(
        self,
        key: Key,
        buffer: Buffer,
        return_missing: bool = False,
        return_info: bool = True,
        *,
        progress: Wish = None,
    ) -> S3Object:
        """Downloads an object, or a range of it, into memory of the caller's; see S3.get_into."""
        return await self._run(get_to.get_into(self._context, key, buffer, return_missing, return_info), progress)

    async def get_file(
        self,
        key: Key,
        path: LocalPath,
        return_missing: bool = False,
        return_info: bool = True,
        *,
        progress: Wish = None,
    ) -> S3Object:
        """Downloads one object, or a range of it, to a file; see S3.get_files."""
        rows = [(key, path)]
        return (await self._run(get_to.get_files(self._context, rows, return_missing, return_info), progress))[0]

    async def get_files(
        self,
        key_paths: Iterable[tuple[Key, LocalPath]],
        return_missing: bool = False,
        return_info: bool = True,
        *,
        progress: Wish = None,
    ) -> list[S3Object]:
        """Downloads objects to files, which are the caller's; see S3.get_files."""
        return await self._run(get_to.get_files(self._context, key_paths, return_missing, return_info), progress)

    async def get_recursive(
        self,
        keys: Iterable[Key],
        return_info: bool = False,
        *,
        raw_prefixes: bool = False,
        progress: Wish = None,
    ) -> list[S3Object]:
        """Downloads all objects below each key; see S3.get_recursive."""
        return await self._run(recursive.get_recursive(self._context, keys, return_info, raw_prefixes), progress)

    async def get_all(self, return_info: bool = False, *, progress: Wish = None) -> list[S3Object]:
        """Downloads all objects below s3root; see S3.get_all."""
        return await self._run(recursive.get_all(self._context, return_info), progress)

    async def info(self, key: Key = None, return_missing: bool = False, *, version_id: str | None = None) -> S3Object:
        """Size, content type and metadata of an object, without its bytes; see S3.info."""
        return await self._run(info.info(self._context, key, return_missing, version_id))

    async def info_many(self, keys: Iterable[Key], return_missing: bool = False) -> list[S3Object]:
        """`info` of many objects at once, in the order of `keys`; see S3.info_many."""
        return await self._run(info.info_many(self._context, keys, return_missing))

    async def put(
        self,
        key: str | S3PutObject | None,
        obj: Value,
        overwrite: bool = True,
        content_type: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        *,
        resume: bool = False,
        progress: Wish = None,
    ) -> StoredURL:
        """Stores one object and returns its URL; see S3.put. `obj` must not be changed before it is stored.

        With `resume` the event loop waits while the parts that are there already are read again and compared.
        """
        return await self._run(put.put(self._context, key, obj, overwrite, content_type, metadata, resume), progress)

    async def put_stream(
        self,
        key: str | S3PutObject | None,
        stream: Streamable | AsyncIterable[Buffer],
        overwrite: bool = True,
        content_type: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        *,
        progress: Wish = None,
    ) -> StoredURL:
        """Stores what can be read but once and whose length is not known; see S3.put_stream.

        Args:
            stream: As there, and read in a thread of its own; or an asynchronous iterable of bytes-like objects, which
                runs in this event loop. A file or an iterable that blocks while this is cancelled is not waited for:
                the upload is aborted when it gives way.
        """
        async with AsyncExitStack() as stack:
            unblock = None
            if isinstance(stream, AsyncIterable):
                stream = chunks = await stack.enter_async_context(aclosing(AwaitedChunks(stream)))
                unblock = chunks.cancel
            steps = put.put_stream(self._context, key, stream, overwrite, content_type, metadata)
            return await self._run(steps, progress, partial(aside.arun, self._client, unblock))

    async def put_many(
        self,
        key_objs: Iterable[tuple[str, Value] | S3PutObject],
        overwrite: bool = True,
        *,
        resume: bool = False,
        progress: Wish = None,
    ) -> list[tuple[str, str]]:
        """Stores many objects at once and returns (key, url) of those that were stored; see S3.put_many."""
        return await self._run(put.put_many(self._context, key_objs, overwrite, resume), progress)

    async def put_files(
        self,
        key_paths: Iterable[tuple[str, str | os.PathLike[str]] | S3PutObject],
        overwrite: bool = True,
        *,
        resume: bool = False,
        progress: Wish = None,
    ) -> list[tuple[str, str]]:
        """Stores local files, given by their paths; see S3.put_files."""
        return await self._run(put.put_files(self._context, key_paths, overwrite, resume), progress)

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

    async def list_paths(self, keys: Iterable[Key] | None = None) -> list[S3Object]:
        """The objects and prefixes one level below each key; see S3.list_paths."""
        return await self._run(listing.list_paths(self._context, keys))

    async def list_recursive(self, keys: Iterable[Key] | None = None) -> list[S3Object]:
        """All objects below each key; see S3.list_recursive."""
        return await self._run(listing.list_recursive(self._context, keys))
