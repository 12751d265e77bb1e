"""One attempt of one request: its order, and what its report will say.

The event loop writes it until it is finished; then it is the waiter's. While it is paused the waiter reads the head and
sets the target.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Any

from fastdatastore.engine.planes.portable import constants
from fastdatastore.engine.planes.portable.checksums import crc
from fastdatastore.engine.planes.portable.order import Order
from fastdatastore.engine.planes.portable.report import Report

if TYPE_CHECKING:
    from fastdatastore.engine.planes.portable.completions import Completions

_ERROR_CONTENT_MAX = 64 << 10


class Failed(Exception):
    """The attempt has ended without a response that can be used: its outcome, and a sentence."""

    def __init__(self, outcome: int, why: str) -> None:
        super().__init__(outcome, why)
        self.outcome = outcome
        self.why = why


class Attempt:
    """Times are of time.monotonic(), 0.0 where the moment did not come.

    When it has ended, frames and tracebacks of the network libraries keep it in cycles that wait for the collector. So
    it lets go of the buffers and the tag itself: they are the waiter's. (A view of a view in such a cycle, moreover,
    crashes CPython before 3.12.4: python/cpython issue 77894.)
    """

    def __init__(self, tag: object, order: Order, completions: Completions) -> None:
        self.tag = tag
        self.order = order
        self.completions = completions
        self.submitted = time.monotonic()
        self.started = self.first_byte = self.finished = 0.0
        self.outcome = constants.DONE
        self.why = ""
        self.status = 0
        self.headers: dict[str, str] = {}
        self.content_length: int | None = None
        self.content = bytearray()
        self.sent = 0
        self.landed = 0
        self.crc = 0
        self.reused = False
        self.peer = ""
        # Of the loop:
        self.task: asyncio.Task[None] | None = None
        self.called_off = (constants.CANCELLED, "cancelled")
        self.progress = 0.0  # when a byte last moved; 0.0: the stall timeout does not run
        self.proceeding: asyncio.Event | None = None
        # Of the completion queue, under its lock:
        self.paused = False  # reported its head and waits for a target
        self.is_finished = False
        self.reported = False  # is in the queue's list
        self.piece: memoryview | None = None  # of the body, that is being sent
        self._transport: Any = None
        # Where the body lands:
        self._target = order.target
        self._download_crc = order.download_crc
        self._span = 0
        self._offset = 0

    @property
    def is_success(self) -> bool:
        return 200 <= self.status < 300

    @property
    def to_target(self) -> bool:
        return bool(self._target) and self.is_success

    @property
    def pauses(self) -> bool:
        """A longer 2xx body than was expected: the waiter says where it goes."""
        limit = self.order.pause_above
        has_body = self.is_success and self.order.method != "HEAD"
        return bool(limit) and not self._target and has_body and (self.content_length or 0) > limit

    @property
    def could_not_pause(self) -> bool:
        """Only because the head did not say how long the body is."""
        return bool(self.order.pause_above) and self.content_length is None

    @property
    def stall_timeout(self) -> float:
        return self.order.stall_timeout or self.order.endpoint.stall_timeout

    def on_connection(self, transport: Any, reused: bool) -> None:
        """The request goes out on this connection."""
        self._transport = transport
        self.reused = reused
        self.started = self.progress = time.monotonic()
        address = transport.get_extra_info("peername") or ("", 0)
        self.peer = f"[{address[0]}]:{address[1]}" if ":" in address[0] else f"{address[0]}:{address[1]}"

    def let_go(self, response: Any) -> None:
        """At the end: a connection in the middle of something is cut off, with what it still holds of the body."""
        released = response is not None and response.connection is None
        if self._transport is not None and not (released and self.sent == self.order.body_size):
            if response is not None:
                response.close()
            self._transport.abort()
        self._transport = None

    def release(self) -> None:
        """At the end, on the loop: nothing views the buffers any more."""
        self.task = None
        views = [*self.order.body, *self._target]
        if self.piece is not None:
            views.append(self.piece)
        for view in views:
            with contextlib.suppress(BufferError):  # a cancelled upload is being hashed: until that is done
                view.release()

    def direct(self, target: tuple[memoryview, ...], download_crc: int) -> None:
        """The paused body goes to `target`."""
        self._target = target
        self._download_crc = download_crc

    def has_room(self) -> bool:
        """In the target."""
        while self._span < len(self._target):
            if self._offset < len(self._target[self._span]):
                return True
            self._span += 1
            self._offset = 0
        return False

    def land(self, data: bytes) -> bool:
        """Puts bytes of the body where they belong. False: there is no room for all of them."""
        if not self.to_target:
            limit = self.order.content_max if self.is_success else _ERROR_CONTENT_MAX
            kept = data[: max(0, limit - len(self.content))]
            self.content += kept
            self._count(kept)
            return len(kept) == len(data)
        left = memoryview(data)
        while left and self.has_room():
            room = self._target[self._span][self._offset : self._offset + len(left)]
            room[:] = left[: len(room)]
            self._count(left[: len(room)])
            self._offset += len(room)
            left = left[len(room) :]
        return not left

    @property
    def moved(self) -> int:
        """Body bytes so far, either way; for any thread."""
        return self.sent + self.landed

    def count_sent(self, size: int) -> None:
        """Bytes of the body have gone to the kernel."""
        self.progress = time.monotonic()
        self.sent += size
        self.completions.moved += size

    def _count(self, data: bytes | memoryview) -> None:
        self.landed += len(data)
        self.completions.moved += len(data)
        if self._download_crc != constants.NO_CRC and self.is_success:
            self.crc = crc(self._download_crc, data, self.crc)

    def report(self) -> Report:
        """With the completion queue's lock held."""
        paused = not self.is_finished
        return Report(
            self.tag,
            paused,
            constants.DONE if paused else self.outcome,
            self.status,
            self.headers,
            self.content_length,
            bytes(self.content),
            self.sent,
            self.landed,
            self.crc,
            self.reused,
            _seconds(self.submitted, self.started),
            _seconds(self.started, self.first_byte),
            _seconds(self.submitted, self.first_byte if paused else self.finished),
            self.peer,
            "" if paused else self.why,
        )


def _seconds(start: float, end: float) -> float:
    return max(0.0, end - start) if start and end else 0.0
