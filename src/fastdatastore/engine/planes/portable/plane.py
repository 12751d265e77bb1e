"""Plane: an asyncio loop in a thread of its own, and what a fork does to it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, final

from fastdatastore.engine.planes.portable.attempt import Attempt
from fastdatastore.errors import ConfigurationError

if TYPE_CHECKING:
    from fastdatastore.engine.planes.portable.loop import Loop


@final
class Plane:
    """The portable data plane: makes attempts of requests on one event-loop thread.

    Args:
        loops: How many loops' connections an endpoint may have here; threads of Python would only wait for each other.

    Raises:
        ConfigurationError: aiobotocore is not installed.
    """

    def __init__(self, loops: int) -> None:
        if not 1 <= loops <= 64:
            raise ValueError(f"loops must be 1 to 64, got {loops}")
        try:
            from fastdatastore.engine.planes.portable.loop import Loop
        except ImportError as error:
            raise ConfigurationError(
                f"the portable data plane needs aiobotocore ({error}); run: python -m pip install aiobotocore awscrt"
            ) from error
        self._lock = threading.Lock()
        self._loops = loops
        self._loop: Loop | None = Loop(loops)

    def __repr__(self) -> str:
        if self.closed:
            return "<Plane closed>"
        return f"<Plane {self._loops} loops | {self.in_flight} attempts in flight>"

    @property
    def in_flight(self) -> int:
        """Attempts submitted and not yet finished."""
        with self._lock:
            return self._loop.in_flight if self._loop else 0

    @property
    def closed(self) -> bool:
        return self._loop is None

    def is_current_thread(self) -> bool:
        """Whether this runs on the event loop: there, nothing may wait for it."""
        loop = self._loop
        return loop is not None and loop.thread is threading.current_thread()

    def submit(self, attempts: list[Attempt]) -> None:
        """For Queue."""
        with self._lock:
            if self._loop is None:
                raise RuntimeError("the data plane is closed")
            if attempts:
                attempts[0].completions.add(attempts)
                self._loop.submit(attempts)

    def proceed(self, attempt: Attempt) -> None:
        """For Queue: the paused attempt has got its target."""
        with self._lock:
            if self._loop is not None:
                self._loop.proceed(attempt)

    def cancel(self, attempts: list[Attempt]) -> None:
        """For Queue."""
        with self._lock:
            if self._loop is not None and attempts:
                self._loop.cancel(attempts)

    def close(self) -> None:
        """Cancels what is in flight, which its queues then report, and joins the loop."""
        with self._lock:
            loop, self._loop = self._loop, None
        if loop is not None:
            loop.close()

    def __del__(self) -> None:
        loop = getattr(self, "_loop", None)
        if loop is not None:
            loop.close()

    def before_fork(self) -> None:
        """For os.register_at_fork: parks the loop between two turns, so that the child sees whole structures."""
        self._lock.acquire()
        if self._loop is not None:
            self._loop.park()

    def after_fork_in_parent(self) -> None:
        """For os.register_at_fork."""
        if self._loop is not None:
            self._loop.unpark()
        self._lock.release()

    def after_fork_in_child(self) -> None:
        """For os.register_at_fork: closes the inherited descriptors; this plane is closed from here on."""
        if self._loop is not None:
            self._loop.abandon()
        self._loop = None
        self._lock.release()
