"""Work of the file system on a few threads: a disk that flushes and a caller that hashes do not wait for each other."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TypeVar

T = TypeVar("T")


def overlapped(
    items: Iterable[T], begin: Callable[[T], Callable[[], None] | None], width: int
) -> Generator[T, None, None]:
    """Yields each item when the work on it has ended, in the order in which it does.

    Items are drawn as there is room. When the caller stops early, what has begun is waited for: nothing goes on behind
    the caller's back, and nothing stays open.

    Args:
        begin: In the caller's thread; returns what is left for another one, or None if the work is done.
        width: How many threads.
    """
    on_the_way: dict[Future[None], T] = {}

    def ended(at_least: int) -> Generator[T, None, None]:
        while len(on_the_way) > at_least:
            for future in wait(on_the_way, return_when=FIRST_COMPLETED).done:
                item = on_the_way.pop(future)
                future.result()
                yield item

    pool = ThreadPoolExecutor(width, "fastdatastore-files")
    try:
        for item in items:
            rest = begin(item)
            if rest is None:
                yield item
                continue
            on_the_way[pool.submit(rest)] = item
            yield from ended(width - 1)
        yield from ended(0)
    finally:
        pool.shutdown()
