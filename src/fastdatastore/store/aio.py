"""AsyncArtifactStore: ArtifactStore for asyncio, over the same pipelines."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import threading
import time
from collections.abc import AsyncGenerator, Callable, Generator, Iterable
from datetime import timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar, Unpack

from fastdatastore.store.cancel import Cancel
from fastdatastore.store.collection.report import GcReport
from fastdatastore.store.collection.timing import GRACE
from fastdatastore.store.compression import Setting
from fastdatastore.store.listing import ArtifactEntry
from fastdatastore.store.put.outline import Prepared
from fastdatastore.store.stat import ArtifactStat
from fastdatastore.store.tags import ANY, Expected
from fastdatastore.store.verify import Finding
from fastdatastore.store.work import Step, Work, check_prepared, check_refs, several

if TYPE_CHECKING:
    from fastdatastore.s3.connections import Connection

T = TypeVar("T")

# What comes one by one is drawn for so many seconds at a time: going to a thread and back costs about 0.1 ms.
_DRAW_SECONDS = 0.02


class AsyncArtifactStore(Work):
    """ArtifactStore with the same verbs, awaited. Takes the arguments of ArtifactStore.

    Each verb works in a thread of the event loop's default executor, so that no event loop waits for anything, and as
    many go on at once as that has threads: for many objects take put_many and get_many. A verb that is cancelled is
    called off within about a tenth of a second, and nothing of it goes on; what is being prepared, or made of bytes,
    at that moment is so to its end. Errors are those of ArtifactStore, such as CorruptArtifact for what is damaged.

    WARNING: loading an artifact that was pickled runs code that whoever wrote it has chosen; see ArtifactStore.
    """

    def __init__(
        self, url: str, *, compression: Setting = "auto", durable: bool = True, **connection: Unpack[Connection]
    ) -> None:
        super().__init__(url, compression=compression, durable=durable, **connection)

    async def __aenter__(self) -> AsyncArtifactStore:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Refuses later calls; those that have begun go on."""
        self._close()

    async def put(self, obj: object, *, rewrite: bool = False) -> str:
        """Stores an object and returns its ref; see ArtifactStore.put. It must not be changed before this returns."""
        return str((await _in_a_thread(self._put, [obj], False, rewrite))[0])

    async def put_many(
        self, objects: Iterable[object], *, return_errors: bool = False, rewrite: bool = False
    ) -> list[Any]:
        """Stores several objects at once; see ArtifactStore.put_many. They are drawn in another thread."""
        return await _in_a_thread(self._put, several(objects, "put_many"), return_errors, rewrite)

    async def prepare(self, obj: object) -> Prepared:
        """Serializes and digests an object, without I/O; see ArtifactStore.prepare."""
        return await _in_a_thread(self._prepare, obj)

    async def commit(self, prepared: Prepared) -> str:
        """Stores what was prepared and returns its ref; see ArtifactStore.commit."""
        return str((await _in_a_thread(self._put, [check_prepared(prepared)], False, False))[0])

    async def get(
        self, ref: str, *, allow_pickle: bool = True, readonly: bool = False, max_bytes: int | None = None
    ) -> Any:
        """Loads an object, as it was put; see ArtifactStore.get.

        WARNING: loading an artifact that was pickled runs code that whoever wrote it has chosen.
        """
        return (await _in_a_thread(self._get, check_refs([ref], "get"), allow_pickle, readonly, max_bytes, False))[0]

    async def get_many(
        self,
        refs: Iterable[str],
        *,
        allow_pickle: bool = True,
        readonly: bool = False,
        max_bytes: int | None = None,
        return_errors: bool = False,
    ) -> list[Any]:
        """Loads several objects at once, in the order of `refs`; see ArtifactStore.get_many."""
        wanted = check_refs(refs, "get_many")
        return await _in_a_thread(self._get, wanted, allow_pickle, readonly, max_bytes, return_errors)

    async def delete(self, ref: str, *, force: bool = False) -> None:
        """Deletes an artifact; see ArtifactStore.delete."""
        await _in_a_thread(self._delete, ref, force)

    async def tag(self, name: str, ref: str, *, expected: Expected = ANY) -> None:
        """Lets a tag name an artifact; see ArtifactStore.tag."""
        await _in_a_thread(self._tag, name, ref, expected)

    async def resolve(self, name: str) -> str:
        """The ref that a tag names; see ArtifactStore.resolve."""
        return await _in_a_thread(self._resolve, name)

    async def delete_tag(self, name: str) -> None:
        """Deletes a tag; see ArtifactStore.delete_tag."""
        await _in_a_thread(self._delete_tag, name)

    async def tags(self) -> dict[str, str]:
        """All tags with the refs that they name, by name."""
        return await _in_a_thread(self._tags)

    async def stat(self, ref: str) -> ArtifactStat:
        """What is known of an artifact without loading it; see ArtifactStore.stat."""
        return await _in_a_thread(self._stat, ref)

    def list(self, *, details: bool = False) -> AsyncGenerator[ArtifactEntry, None]:
        """All artifacts, for `async for`; see ArtifactStore.list.

        Who leaves the loop early closes it by `contextlib.aclosing`; else that is the event loop's, some time later.
        """
        self._check_open()
        return _drawn(self._list, details)

    def verify(
        self, refs: Iterable[str] | None = None, *, progress: Step | None = None
    ) -> AsyncGenerator[Finding, None]:
        """Reads artifacts and compares all their bytes, for `async for` as `list`; see ArtifactStore.verify."""
        self._check_open()
        return _drawn(self._verify, None if refs is None else check_refs(refs, "verify"), progress)

    async def gc(
        self,
        *,
        grace: float | timedelta = GRACE,
        untagged: bool = False,
        older_than: float | timedelta | None = None,
        exclusive: bool = False,
        dry_run: bool = False,
        progress: Step | None = None,
    ) -> GcReport:
        """Collects garbage; see ArtifactStore.gc."""
        return await _in_a_thread(self._gc, grace, untagged, older_than, exclusive, dry_run, progress)


async def _in_a_thread(work: Callable[..., T], *arguments: Any, cancel: Cancel | None = None) -> T:
    """What `work(*arguments, cancel)` returns. Who is cancelled calls it off, and waits until it has ended.

    Args:
        cancel: To call it off by, where it is part of something longer.
    """
    cancel = cancel or Cancel()
    has_begun = threading.Event()

    def run() -> T:
        cancel.check()
        has_begun.set()
        return work(*arguments, cancel)

    loop = asyncio.get_running_loop()
    future = loop.run_in_executor(None, contextvars.copy_context().run, run)
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        cancel.set()
        if has_begun.is_set():
            await _ended(future)
        else:  # it waits for a thread, and will do nothing once it has one
            future.cancel()
        raise


async def _ended(future: asyncio.Future[Any]) -> None:
    """Waits for its end, and be it cancelled itself meanwhile: that does not make it end any sooner."""
    while not future.done():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait([future])
    if not future.cancelled():
        future.exception()  # nobody else will look at it, which asyncio would tell


async def _drawn(work: Callable[..., Generator[T, None, object]], *arguments: Any) -> AsyncGenerator[T, None]:
    """What the generator `work(*arguments, cancel)` yields, which runs in threads."""
    cancel = Cancel()
    source = work(*arguments, cancel)

    def draw(_: Cancel) -> tuple[list[T], bool]:
        """What comes within a short time, at least one, and whether that was all."""
        drawn: list[T] = []
        end = time.monotonic() + _DRAW_SECONDS
        for item in source:
            drawn.append(item)
            if time.monotonic() >= end:
                return drawn, False
        return drawn, True

    try:
        is_over = False
        while not is_over:
            drawn, is_over = await _in_a_thread(draw, cancel=cancel)
            for item in drawn:
                yield item
    finally:
        await _in_a_thread(lambda _: source.close())
