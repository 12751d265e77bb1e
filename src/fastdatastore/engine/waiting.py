"""How a driver waits in an event loop: for reports, and for what has to block."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

from fastdatastore.engine.planes.local import local as _native

# How often reports are looked for where the event loop cannot watch a descriptor.
POLL_SECONDS = 0.002


async def for_reports(queue: _native.Queue, patience: float) -> None:
    """Until there may be reports, or for `patience` seconds; below 0 for ever. The loop always gets its turn."""
    if not len(queue):
        await asyncio.sleep(max(patience, 0.0))
        return
    loop = asyncio.get_running_loop()
    arrival = loop.create_future()
    fd, pid = queue.fileno(), os.getpid()
    try:
        loop.add_reader(fd, _arrived, arrival)
    except NotImplementedError:  # Windows' default loop
        await asyncio.sleep(POLL_SECONDS if patience < 0 else min(patience, POLL_SECONDS))
        return
    try:
        await asyncio.wait([arrival], timeout=None if patience < 0 else patience)
    finally:
        if os.getpid() == pid:  # a forked child shares the epoll of its parent, who still wants to be told
            loop.remove_reader(fd)


def _arrived(arrival: asyncio.Future[None]) -> None:
    if not arrival.done():
        arrival.set_result(None)


async def in_a_thread(function: Callable[[], None]) -> None:
    """Calls it in a thread and waits to its end, however often the caller is cancelled meanwhile."""
    # No task of its own: a loop that ends cancels all tasks, also those that have not begun.
    ending = asyncio.get_running_loop().run_in_executor(None, function)
    cancelled: asyncio.CancelledError | None = None
    while not ending.done():
        try:
            await asyncio.wait([ending])
        except asyncio.CancelledError as error:
            cancelled = error
    ending.result()
    if cancelled is not None:
        try:
            raise cancelled
        finally:
            del cancelled  # its traceback holds this frame: a circle would hold the caller's memory
