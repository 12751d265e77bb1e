"""What a driver has to do: its jobs from their begin to their end, and their requests that wait to be sent."""

from __future__ import annotations

import heapq
import time
from collections import deque
from collections.abc import Iterator

from fastdatastore.engine.admission import LOOK_AGAIN
from fastdatastore.engine.appetite import Appetite
from fastdatastore.engine.driver.room import Room
from fastdatastore.engine.job import Job
from fastdatastore.engine.planes.local import local as _native
from fastdatastore.engine.request import Request
from fastdatastore.engine.uploads import left_behind

# A source that has no job at the moment is asked again after so long, then twice as long, up to LOOK_AGAIN.
_FIRST_NAP = 0.001

# Jobs that have work to do before they ask for anything hold their files open. Beside so many no other begins.
_MOST_AT_WORK = 4


class Agenda:
    """For one driver, one thread.

    Attributes:
        started: Jobs that have begun and not ended; instead of a failed one, the job that tidies up for it.
    """

    def __init__(self, queue: _native.Queue, appetite: Appetite, room: Room) -> None:
        self.started: set[Job] = set()
        self._queue = queue
        self._appetite = appetite
        self._room = room
        self._source: Iterator[Job | None] = iter(())
        self._exhausted = True
        self._is_dry = False  # the source has no job at the moment: it is asked again in the next turn
        self._nap = 0.0
        self._open: deque[Job] = deque()  # may have requests to send
        self._at_work: deque[Job] = deque()  # have work to do before they have requests; the first one does it
        self._is_held_up = False  # it waits for memory
        self._ready: deque[Request] = deque()  # retries that are due, and what was not admitted yet
        self._later: list[tuple[float, int, Request]] = []
        self._ticket = 0
        self._ended: deque[Job] = deque()
        self._tidying: dict[Job, Job] = {}  # the jobs that tidy up at the server, and the failed ones they do it for

    def __repr__(self) -> str:
        return (
            f"<Agenda [jobs: {len(self.started)} | requests: {len(self._ready)} ready, "
            f"{len(self._later)} waiting to be tried again]>"
        )

    # ---- what to send ----

    def draw_from(self, source: Iterator[Job | None]) -> None:
        """Where jobs come from, when no request is left to send. None: there is no job at the moment."""
        self._source, self._exhausted = source, False

    def wake(self, now: float) -> None:
        """A new turn: retries that are due by now are ready, and the source may have jobs again."""
        self._is_dry = False
        while self._later and self._later[0][0] <= now:
            self._ready.append(heapq.heappop(self._later)[2])

    def work(self) -> None:
        """In each turn: one step for the first job that has work to do before its next request."""
        self._is_held_up = False
        if not self._at_work:
            return
        job = self._at_work[0]
        assert job.work is not None
        try:
            need = job.need()
            if need and not self._room.may_take(need, self.has_more):
                self._is_held_up = True
                return
            try:
                job.work()
            finally:
                self._room.spent(need)
        except Exception as error:  # the user's own, of a file that is read
            self.fail(job, error)
            return
        if job.work is None:
            self._at_work.popleft()
            self.reopen(job)

    def next_request(self, now: float, has_others: bool) -> Request | None:
        """The next one to be sent; None when there is none, or memory has no room for it.

        Args:
            has_others: It is not the first of this turn.
        """
        if self._ready:
            return self._ready.popleft()
        request = self._next_of_open(has_others) if self._open else None
        while request is None and self._may_draw:
            try:
                job = next(self._source)
            except StopIteration:
                self._exhausted = True
                break
            if job is None:
                self._is_dry = True
                self._nap = min(2 * self._nap or _FIRST_NAP, LOOK_AGAIN)
                break
            self._nap = 0.0
            job.began = now
            self.started.add(job)
            self._open.append(job)
            if job.size_comes_late:
                self._appetite.on_begun(job)
            request = self._next_of_open(has_others)
        if request is not None and request.operation == "CreateMultipartUpload" and not request.job.attempts:
            self._appetite.on_begun(request.job, request.job.size or None)
        return request

    @property
    def _may_draw(self) -> bool:
        return not (
            self._exhausted
            or self._is_dry
            or self._appetite.is_sated
            or self._room.is_starved
            or len(self._at_work) >= _MOST_AT_WORK
        )

    def _next_of_open(self, has_others: bool) -> Request | None:
        while self._open:
            job = self._open[0]
            if job.done:  # while others, at the head, waited for room: to ask it again would begin it again
                self._open.popleft()
                continue
            try:
                need = job.need()
                if job.work is not None:
                    self._at_work.append(self._open.popleft())
                    continue
                if need and not self._room.may_take(need, has_others or self.has_more):
                    return None
                try:
                    request = job.next_request()
                finally:
                    self._room.spent(need)
            except Exception as error:  # the user's own, of a file or a stream that is read, is the job's failure too
                self.fail(job, error)  # takes it off the queue, and settles it
                continue
            if request is not None:
                return request
            self._open.popleft()
            self.settle(job)
        return None

    def put_back(self, request: Request) -> None:
        """It could not be sent; it stays the first."""
        self._ready.appendleft(request)

    def at_once(self, request: Request) -> None:
        """It is to be sent again."""
        self._ready.append(request)

    def later(self, request: Request, due: float) -> None:
        """It is to be sent again, not before `due`."""
        self._ticket += 1
        heapq.heappush(self._later, (due, self._ticket, request))

    @property
    def is_ready(self) -> bool:
        """There is a request to be sent, as soon as it is admitted."""
        return bool(self._ready)

    @property
    def is_at_work(self) -> bool:
        """A job has work to do, and may."""
        return bool(self._at_work) and not self._is_held_up

    @property
    def has_more(self) -> bool:
        """There are requests to be sent, now or later."""
        return bool(self._ready or self._later)

    @property
    def due(self) -> float | None:
        """When the next retry is."""
        return self._later[0][0] if self._later else None

    @property
    def nap(self) -> float | None:
        """Seconds after which a source that had no job should be asked again; None: it had one."""
        return self._nap if self._is_dry else None

    # ---- the life of a job ----

    def reopen(self, job: Job) -> None:
        """After an answer it may have more requests."""
        if job.done or job.error is not None or job in self._open:
            return
        if self._open and job.began < self._open[0].began:  # what was begun first ends first, and lets go of its memory
            self._open.appendleft(job)
        else:
            self._open.append(job)

    def fail(self, job: Job, error: Exception) -> None:
        """Marks the job; its other requests are called back, its cleanup comes when they are."""
        if job.error is not None:
            return
        job.error = error
        for waiting in (self._open, self._at_work):
            if job in waiting:
                waiting.remove(job)
        self._ready = deque(r for r in self._ready if r.job is not job)
        self._later = [entry for entry in self._later if entry[2].job is not job]
        heapq.heapify(self._later)
        for request in job.in_flight:
            self._queue.cancel(request)
        self.settle(job)

    def settle(self, job: Job) -> None:
        """Hands the job to the caller when it is over and nothing of it is on the way."""
        if job.in_flight or not (job.done or job.error) or job not in self.started:
            return
        self.started.discard(job)
        failed = self._tidying.pop(job, None)
        if failed is not None:  # whatever came of it, the failure is what counts
            if job.error is not None and failed.error is not None:
                failed.error.add_note(left_behind(job))
            job = failed
        elif job.error is not None and (tidying := job.cleanup()) is not None:
            self._tidying[tidying] = job
            self.started.add(tidying)
            self._open.append(tidying)
            return
        if job.size_comes_late and job.done:
            self._appetite.on_size(job)
        self._appetite.on_ended(job)
        job.ended = time.monotonic()
        self._ended.append(job)

    def next_ended(self) -> Job | None:
        """A job that is over, for the caller."""
        if not self._ended:
            return None
        job = self._ended.popleft()
        self._nap = 0.0  # it may be what the source waits for
        job.release()
        return job

    @property
    def has_ended(self) -> bool:
        """There are jobs for the caller."""
        return bool(self._ended)

    @property
    def is_over(self) -> bool:
        """Every job has ended, and there are no more."""
        return self._exhausted and not self.started and not self._ended

    # ---- the end of all ----

    def stopped(self) -> set[Job]:
        """The caller's jobs that have begun and not ended."""
        return {self._tidying.get(job, job) for job in self.started}

    def clear(self) -> None:
        """Forgets everything: a traceback may keep the driver, and may not keep what jobs hold."""
        for waiting in (self._open, self._at_work, self._ready, self._later, self.started):
            waiting.clear()
        self._tidying.clear()
        self._source = iter(())
