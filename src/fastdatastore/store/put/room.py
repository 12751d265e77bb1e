"""How much memory a put may hold beside the user's own, and who has to wait for it."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Stopped(BaseException):
    """The put is over, and what a thread still does for it is wanted no more. No Exception: serializers catch those."""


class Room:
    """Bytes for copies: pickles, gathered buffers, compressed bodies. Thread-safe.

    Args:
        limit: Bytes; only what is larger than that all by itself passes it.

    Attributes:
        is_closed: Nobody gets any more.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._used = 0
        self._changed = threading.Condition()
        self.is_closed = False

    def __repr__(self) -> str:
        return f"<Room [{self._used:,} of {self._limit:,} bytes taken{', closed' if self.is_closed else ''}]>"

    def try_take(self, size: int) -> bool:
        """Takes them, if there is room."""
        with self._changed:
            fits = not self._used or self._used + size <= self._limit
            if fits:
                self._used += size
            return fits

    def give(self, size: int) -> None:
        """Gives them back; whoever waits looks again."""
        with self._changed:
            self._used -= size
            self._changed.notify_all()

    def wait_for(self, may_go: Callable[[], bool]) -> None:
        """Returns when `may_go` says so, which is asked whenever something has changed; raises Stopped at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self.is_closed or may_go())
            if self.is_closed:
                raise Stopped

    def close(self) -> None:
        """Nobody waits any more."""
        with self._changed:
            self.is_closed = True
            self._changed.notify_all()
