"""Jobs in a thread beside an event loop: for sources whose reads would make the loop wait."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable, Iterator
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar, cast

from fastdatastore.engine.client import Client
from fastdatastore.engine.driver.driver import HURRIED_SECONDS, WATCH_SECONDS
from fastdatastore.engine.job import Job

if TYPE_CHECKING:
    from typing_extensions import Buffer

J = TypeVar("J", bound=Job)

# Beyond the time for the aborts, a source that blocks is not waited for.
PARTING_SECONDS = HURRIED_SECONDS + 0.5

_END = cast("Buffer", object())


class _Over(BaseException):
    """Ends the run in the thread: nobody waits for it any more."""


async def arun(
    client: Client,
    unblock: Callable[[], object] | None,
    jobs: Iterable[J],
    on_turn: Callable[[int], None] | None = None,
) -> AsyncGenerator[J, None]:
    """As Client.arun, but all jobs are drawn at once, and yielded when all have ended.

    Cancelled, it waits for what is on the way to be called off, but not for a source that blocks: then the thread
    goes on until that gives way, and aborts the upload.

    Args:
        unblock: Is called when it is cancelled: a source that waits for this event loop shall wait no more.
    """
    loop = asyncio.get_running_loop()
    finished: asyncio.Future[list[J]] = loop.create_future()
    listed = list(jobs)
    moved, is_over = 0, False

    def watch(so_far: int) -> None:
        nonlocal moved
        if is_over:
            raise _Over
        moved = so_far

    def work() -> None:
        try:
            _settle(loop, finished.set_result, list(client.run(listed, watch)))
        except _Over:
            _settle(loop, finished.set_result, [])
        except BaseException as error:
            _settle(loop, finished.set_exception, error)

    # A thread of its own, and a daemon: the pool's would be missing elsewhere, and keep the process from its end.
    context = contextvars.copy_context()
    threading.Thread(target=context.run, args=(work,), name="fastdatastore-stream", daemon=True).start()
    try:
        while not finished.done():
            await asyncio.wait([finished], timeout=WATCH_SECONDS)
            if on_turn is not None:
                on_turn(moved)
    finally:
        is_over = True
        if not finished.done():
            if unblock is not None:
                unblock()
            await asyncio.wait([finished], timeout=PARTING_SECONDS)
    for job in await finished:
        yield job


def _settle(loop: asyncio.AbstractEventLoop, tell: Callable[[Any], None], outcome: object) -> None:
    with suppress(RuntimeError):  # the loop is closed: nobody wants to know
        loop.call_soon_threadsafe(tell, outcome)


class AwaitedChunks(Iterator["Buffer"]):
    """What an asynchronous iterable yields in the running event loop, for another thread."""

    def __init__(self, chunks: AsyncIterable[Buffer]) -> None:
        self._loop = asyncio.get_running_loop()
        self._chunks = aiter(chunks)
        self._next: Future[Buffer] | None = None
        self._step_task: asyncio.Task[Any] | None = None
        self._is_cancelled = False

    def __next__(self) -> Buffer:
        if self._is_cancelled:  # the loop may be closed by now
            raise CancelledError
        self._next = asyncio.run_coroutine_threadsafe(self._step(), self._loop)
        if self._is_cancelled:  # meanwhile
            self._next.cancel()
        chunk = self._next.result()
        if chunk is _END:
            raise StopIteration
        return chunk

    async def _step(self) -> Buffer:
        self._step_task = asyncio.current_task()
        return await anext(self._chunks, _END)

    def cancel(self) -> None:
        """Who waits for the next one, or asks for one, gets a CancelledError."""
        self._is_cancelled = True
        if self._next is not None:
            self._next.cancel()

    async def aclose(self) -> None:
        """Not iterated to its end, a generator shall let go of what it holds."""
        if self._step_task is not None:  # has been cancelled, and may still be tidying up
            await asyncio.wait([self._step_task])
        if isinstance(self._chunks, AsyncGenerator):
            await self._chunks.aclose()
