"""Work of the file system on a few threads: a disk that flushes and a caller that hashes do not wait for each other."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TypeVar

from fastdatastore.store.backends.base import Watch

T = TypeVar("T")

# Who has nothing at the moment is asked again after so many seconds, or when something has ended.
NAP_SECONDS = 0.002
# Who watches is called so often, also when nothing ends.
WATCH_SECONDS = 0.05


def overlapped(
    items: Iterable[T | None], begin: Callable[[T], Callable[[], None] | None], width: int, watch: Watch = None
) -> Generator[T, None, None]:
    """Yields each item when the work on it has ended, in the order in which it does.

    Items are drawn as there is room; None is nothing at the moment. When the caller stops early, what has begun is
    waited for: nothing goes on behind the caller's back, and nothing stays open.

    Args:
        begin: In the caller's thread; returns what is left for another one, or None if the work is done.
        width: How many threads.
        watch: Is called at least ten times a second while the caller waits; what it raises ends the call.
    """
    on_the_way: dict[Future[None], T] = {}

    def ended(at_least: int) -> Generator[T, None, None]:
        while len(on_the_way) > at_least:
            yield from those_done(None if watch is None else WATCH_SECONDS)

    def those_done(patience: float | None) -> Generator[T, None, None]:
        for future in wait(on_the_way, patience, FIRST_COMPLETED).done:
            item = on_the_way.pop(future)
            future.result()
            yield item
        if watch is not None:
            watch()

    pool = ThreadPoolExecutor(width, "fastdatastore-files")
    try:
        for item in items:
            if item is None:
                if not on_the_way:
                    time.sleep(NAP_SECONDS)
                yield from those_done(NAP_SECONDS)
                continue
            rest = begin(item)
            if rest is None:
                yield item
                continue
            on_the_way[pool.submit(rest)] = item
            yield from ended(width - 1)
        yield from ended(0)
    finally:
        pool.shutdown()
