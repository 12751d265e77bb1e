"""The memory ceiling: how many bytes of results a process may keep in memory."""

from __future__ import annotations

from collections import deque

from fastdatastore import forks


class Held:
    """One result's share of the ceiling; given back when this object is gone."""

    __slots__ = ("_returned", "_size")

    def __init__(self, size: int, returned: deque[int]) -> None:
        self._size = size
        self._returned = returned

    def __del__(self) -> None:
        # The garbage collector may call this anywhere, also in the middle of take(): no lock here.
        self._returned.append(self._size)


class ResultMemory:
    """Bytes of results in memory, over all calls, threads and clients of a process. Thread-safe.

    A result counts from the moment its size is known until its S3Object is gone. What the caller keeps longer (a view,
    an array over it) is the caller's own memory and counts no more. Nothing ever waits for a result to go.
    """

    def __init__(self) -> None:
        self._lock = forks.lock()
        self._held = 0
        self._returned: deque[int] = deque()

    def __repr__(self) -> str:
        return f"<ResultMemory [{self.held:,} bytes held]>"

    @property
    def held(self) -> int:
        with self._lock:
            self._settle()
            return self._held

    def take(self, size: int, ceiling: int) -> Held | None:
        """A share of `size` bytes; None if there would be more than `ceiling` bytes in all then."""
        with self._lock:
            self._settle()
            if size and self._held + size > ceiling:
                return None
            self._held += size
        return Held(size, self._returned)

    def _settle(self) -> None:
        while self._returned:
            self._held -= self._returned.popleft()
