"""The event loop's thread: which attempts it makes, its clock of stalls, its end."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
import weakref
from typing import Any

from fastdatastore.engine.planes.portable import constants
from fastdatastore.engine.planes.portable.attempt import Attempt
from fastdatastore.engine.planes.portable.endpoint import Endpoint
from fastdatastore.engine.planes.portable.exchange import exchange, stalled
from fastdatastore.engine.planes.portable.host import Host

_TICK = 0.1  # seconds; how finely the stall timeout is kept
_PARK_SECONDS = 5.0
# What a fork's child must not finalize: the sessions in it are the parent's.
_abandoned: list[Any] = []


class Loop:
    """Methods are for other threads unless they say otherwise; Plane's lock orders them."""

    def __init__(self, loops: int) -> None:
        self._loops = loops
        self._loop = asyncio.SelectorEventLoop()  # whatever loop the application prefers
        self._attempts: set[Attempt] = set()
        self._hosts: weakref.WeakKeyDictionary[Endpoint, Host] = weakref.WeakKeyDictionary()
        self._open: set[Host] = set()  # whose endpoints may be gone already, see _retire
        self._submitted = 0
        self._ended = 0
        self._unpark = threading.Event()
        self._abandoned = False
        self.thread = threading.Thread(target=self._run, name="fastdatastore-portable", daemon=True)
        self.thread.start()

    @property
    def in_flight(self) -> int:
        return self._submitted - self._ended

    def submit(self, attempts: list[Attempt]) -> None:
        self._submitted += len(attempts)
        self._loop.call_soon_threadsafe(self._begin, attempts)

    def proceed(self, attempt: Attempt) -> None:
        def go_on() -> None:
            assert attempt.proceeding is not None
            attempt.proceeding.set()

        self._loop.call_soon_threadsafe(go_on)

    def cancel(self, attempts: list[Attempt]) -> None:
        self._loop.call_soon_threadsafe(self._end, attempts, constants.CANCELLED, "cancelled")

    def _retire(self, host: Host) -> None:
        """An endpoint is gone, on whatever thread: nothing uses its connections any more."""
        if not self._abandoned:
            with contextlib.suppress(RuntimeError):  # the loop is closed, and has closed them
                self._loop.call_soon_threadsafe(lambda: self._loop.create_task(self._close(host)))

    def close(self) -> None:
        if self.thread is threading.current_thread():  # a finalizer may run anywhere, also here
            self._loop.call_soon(self._loop.stop)
            return
        with contextlib.suppress(RuntimeError):  # at interpreter exit it may be gone already
            self._loop.call_soon_threadsafe(self._loop.stop)
        self.thread.join()

    # ---- on the loop's thread ----

    def _run(self) -> None:
        loop = self._loop
        asyncio.set_event_loop(loop)
        watch = loop.create_task(self._watch())
        try:
            loop.run_forever()
            watch.cancel()
            loop.run_until_complete(self._farewell())
            # What the last attempts held, and let go of with their tasks: endpoints, see _retire.
            while left := asyncio.all_tasks(loop):
                loop.run_until_complete(asyncio.wait(left))
        finally:
            loop.close()

    async def _farewell(self) -> None:
        await asyncio.sleep(0)  # what was submitted before the end has begun
        attempts = list(self._attempts)
        self._end(attempts, constants.CANCELLED, "the engine was closed")
        others = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.gather(*others, return_exceptions=True)
        await asyncio.gather(*map(self._close, self._open), return_exceptions=True)

    async def _close(self, host: Host) -> None:
        await host.close()
        self._open.discard(host)

    def _begin(self, attempts: list[Attempt]) -> None:
        for attempt in attempts:
            endpoint = attempt.order.endpoint
            host = self._hosts.get(endpoint)
            if host is None:
                host = self._hosts[endpoint] = Host(endpoint, self._loops)
                self._open.add(host)
                weakref.finalize(endpoint, self._retire, host).atexit = False
            self._attempts.add(attempt)
            attempt.task = self._loop.create_task(self._make(attempt, host))

    async def _make(self, attempt: Attempt, host: Host) -> None:
        try:
            await exchange(attempt, host)
        except asyncio.CancelledError:
            attempt.outcome, attempt.why = attempt.called_off
        except Exception as error:  # a defect of ours or of a library: no waiter may wait for ever
            attempt.outcome = constants.PROTOCOL_ERROR
            attempt.why = f"the portable data plane failed: {type(error).__name__}: {error}"
        finally:
            attempt.release()
            attempt.finished = time.monotonic()
            self._attempts.discard(attempt)
            self._ended += 1
            attempt.completions.put(attempt, finished=True)

    def _end(self, attempts: list[Attempt], outcome: int, why: str) -> None:
        for attempt in attempts:
            if attempt in self._attempts and attempt.task is not None:
                attempt.called_off = (outcome, why)
                self._loop.call_soon(attempt.task.cancel)  # not before its first step: it could not report then

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(_TICK)
            now = time.monotonic()
            for attempt in [a for a in self._attempts if stalled(a, now)]:
                self._end([attempt], constants.STALLED, f"no byte moved for {attempt.stall_timeout:.1f} s")

    # ---- forks ----

    def park(self) -> None:
        """Returns when the loop stands between two turns; it stays there until unpark()."""
        parked = threading.Event()
        self._unpark.clear()
        if self.thread is threading.current_thread():
            return

        def stand_still() -> None:
            parked.set()
            self._unpark.wait()

        self._loop.call_soon_threadsafe(stand_still)
        parked.wait(_PARK_SECONDS)

    def unpark(self) -> None:
        self._unpark.set()

    def abandon(self) -> None:
        """In a fork's child: the sockets are closed without a word to the servers; there is no thread to do more."""
        for host in self._open:
            for inherited in list(host.sockets):
                inherited.close()
        self._loop.set_exception_handler(lambda loop, context: None)
        self._abandoned = True
        _abandoned.append(self)
