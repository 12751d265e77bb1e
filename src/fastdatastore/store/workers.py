"""Threads of one call that digest, compress and expand while its bytes are on the way."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import ParamSpec, TypeVar

from fastdatastore.config import cores

P = ParamSpec("P")
T = TypeVar("T")


class Workers:
    """A pool that begins with the first work it is given. When the call is over, so is all its work.

    A pool of each call's own, not one of the process: whoever leaves a call takes down nothing but its own work, and a
    forked child, in which no threads are, makes calls of its own.

    Args:
        count: How many threads; None: as many as there are cores.
    """

    def __init__(self, count: int | None = None) -> None:
        self.count = count or cores()
        self._pool: ThreadPoolExecutor | None = None
        self._pid = os.getpid()
        self._beginning = threading.Lock()

    def __repr__(self) -> str:
        return f"<Workers [{self.count} threads{'' if self._pool else ', not begun'}]>"

    def __enter__(self) -> Workers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """What has not begun never does; what has is waited for: nobody touches the call's memory any more."""
        pool, self._pool = self._pool, None
        if pool is not None and os.getpid() == self._pid:  # the threads are the parent's
            pool.shutdown(cancel_futures=True)

    def check(self) -> None:
        """Raises RuntimeError in a forked child, where work that the parent has given out never ends."""
        if os.getpid() != self._pid:
            raise RuntimeError("transfers cannot go on in a forked child; start new ones there")

    def submit(self, work: Callable[P, T], *args: P.args, **keywords: P.kwargs) -> Future[T]:
        """Has a thread do it."""
        self.check()
        with self._beginning:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(self.count, "fastdatastore-store")
        return self._pool.submit(work, *args, **keywords)
