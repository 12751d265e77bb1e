"""A job: what is to be done with one object (or one listing), as a state machine that does no I/O itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

from fastdatastore.engine.request import Request
from fastdatastore.errors import FastDatastoreError

if TYPE_CHECKING:
    from fastdatastore._native import Report
    from fastdatastore.engine.bytesview import Buffers


class Job:
    """Base of all jobs. The driver calls, in one thread:

    need() before work() or next_request(): how many bytes of the pool that will take at most.
    work() once a turn, while there is one.
    next_request() whenever there is room, until it returns None; then again after each answer.
    need_when_paused(report) before on_paused, likewise.
    on_paused(request, report) when the head of a long body is there: where it shall go, and the CRC to take.
    on_answer(request, report) for each 2xx (or a status in request.expected). It may raise what fails the job, or
        RetryRequest.
    before_retry(request, report) before the same request goes out again: to resume where it stopped.
    cleanup() when the job has failed and none of its requests is on the way: the job that tidies up at the server.
    release() once, at the very end, whatever the outcome.

    Attributes:
        done: The result is there and nothing more is to be sent.
        work: A short step of what is to be done here before the next request; None when there is no more of it.
        in_flight: Its requests that are on the way; kept by the driver.
        error: Why the job failed: a FastDatastoreError, or what a user's file or stream has raised.
        attempts, retries: Of all its requests.
        began, ended: time.monotonic() of the first request and of the end.
        verified_by: How the bytes were verified: "crc64nvme", "length", …; "" where no bytes are concerned.
        size: Bytes of the object moved.
        moved: Of these, how many are there so far.
    """

    operation: ClassVar[str] = ""
    size_comes_late: ClassVar[bool] = False  # only the reply tells how many bytes will want a place

    def __init__(self, bucket: str, key: str = "") -> None:
        self.bucket = bucket
        self.key = key
        self.done = False
        self.work: Callable[[], None] | None = None
        self.error: Exception | None = None
        self.attempts = 0
        self.retries = 0
        self.in_flight: set[Request] = set()
        self.began = 0.0
        self.ended = 0.0
        self.verified_by = ""
        self.size = 0
        self.moved = 0

    def next_request(self) -> Request | None:
        raise NotImplementedError

    def need(self) -> int:
        return 0

    def need_when_paused(self, report: Report) -> int:
        return 0

    def on_paused(self, request: Request, report: Report) -> tuple[Buffers, int]:
        raise NotImplementedError

    def on_answer(self, request: Request, report: Report) -> None:
        raise NotImplementedError

    def before_retry(self, request: Request, report: Report) -> None:
        """By default a request goes out again as it was."""

    def cleanup(self) -> Job | None:
        return None

    def release(self) -> None:
        """By default there is nothing to let go of."""

    def finish(self) -> None:
        self.done = True

    def __repr__(self) -> str:
        state = "failed" if self.error else "done" if self.done else f"{len(self.in_flight)} requests in flight"
        return f"<{type(self).__name__} s3://{self.bucket}/{self.key} | {state}>"


class RetryRequest(Exception):
    """Raised by on_answer: this answer is no good, ask again. It counts as a failed attempt.

    Args:
        error: What fails the job when the attempts are used up.
    """

    def __init__(self, error: FastDatastoreError) -> None:
        super().__init__(str(error))
        self.error = error
