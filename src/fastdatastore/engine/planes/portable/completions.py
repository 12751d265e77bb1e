"""The reports of one waiter: what the event loop hands over, and the descriptor that tells of it."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections import deque

from fastdatastore.engine.planes.portable.attempt import Attempt
from fastdatastore.engine.planes.portable.report import Report


class Completions:
    """Thread-safe. The event loop puts, one waiter takes.

    The descriptor is a socket's, because on Windows select() knows nothing else.

    Attributes:
        in_flight: Attempts whose end has not been taken yet.
        moved: Body bytes of all attempts, ever; written by the event loop alone.
    """

    def __init__(self) -> None:
        self.in_flight: dict[int, Attempt] = {}  # by id(), in the order of submission
        self.moved = 0
        self._lock = threading.Lock()
        self._reported: deque[Attempt] = deque()
        self._wake_read, self._wake_write = socket.socketpair()
        self._wake_read.setblocking(False)

    def __del__(self) -> None:
        if hasattr(self, "_wake_write"):
            self._wake_read.close()
            self._wake_write.close()

    def fileno(self) -> int:
        return self._wake_read.fileno()

    def add(self, attempts: list[Attempt]) -> None:
        for attempt in attempts:
            self.in_flight[id(attempt)] = attempt

    def put(self, attempt: Attempt, *, finished: bool) -> None:
        """On the event loop: the attempt has paused, or ended. An end overtakes a pause that was not taken."""
        with self._lock:
            attempt.paused = not finished
            attempt.is_finished = finished
            if attempt.reported:
                return
            attempt.reported = True
            self._reported.append(attempt)
            if len(self._reported) == 1:
                self._wake_write.send(b"\0")

    def take(self, most: int) -> list[Report]:
        """At most this many reports; does not wait.

        A signal's exception may come between any two lines. So the steps are in an order that loses a report at worst
        (the waiter unwinds anyway), never the end of an attempt: a waiter that clears up would wait for it for ever.
        """
        reports: list[Report] = []
        with self._lock:
            while self._reported and len(reports) < most:
                attempt = self._reported[0]
                reports.append(attempt.report())
                if attempt.is_finished:
                    self.in_flight.pop(id(attempt), None)
                    attempt.tag = None
                attempt.reported = False
                self._reported.popleft()
            if not self._reported:
                with contextlib.suppress(BlockingIOError):
                    self._wake_read.recv(16)
        return reports

    def wait(self, timeout: float | None) -> None:
        """Until there is a report, or for `timeout` seconds. Signals are answered meanwhile."""
        self._wake_read.settimeout(timeout)
        try:
            with contextlib.suppress(TimeoutError, BlockingIOError):
                self._wake_read.recv(1, socket.MSG_PEEK)
        finally:
            self._wake_read.setblocking(False)

    def proceed(self, tag: object, target: tuple[memoryview, ...], download_crc: int) -> Attempt:
        """Gives a paused attempt its target.

        Raises:
            KeyError: No attempt of this tag waits for one.
        """
        with self._lock:
            for attempt in self.in_flight.values():
                if attempt.tag is tag and attempt.paused:
                    attempt.paused = False
                    attempt.direct(target, download_crc)
                    return attempt
        raise KeyError("no paused attempt has this tag")
