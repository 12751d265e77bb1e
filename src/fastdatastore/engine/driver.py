"""The driver: makes the jobs' requests, attempt by attempt, in the calling thread.

It owns one completion queue; every call of a client has a driver of its own, so threads never wait for each other.
"""

from __future__ import annotations

import contextlib
import heapq
import os
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Generator, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, cast

from fastdatastore.engine import injection, process, retry
from fastdatastore.engine.admission import LOOK_AGAIN, Admission
from fastdatastore.engine.appetite import Appetite
from fastdatastore.engine.budget import REFUND
from fastdatastore.engine.hedging import Hedger
from fastdatastore.engine.job import Job, RetryRequest
from fastdatastore.engine.options import NO_OPTIONS, Options
from fastdatastore.engine.planes.local import local as _native
from fastdatastore.engine.remote import Remote
from fastdatastore.engine.request import Request
from fastdatastore.engine.trickles import Trickles
from fastdatastore.errors import ConfigurationError, FastDatastoreError, S3Error

if TYPE_CHECKING:
    from fastdatastore._native import Report

# How often parts in flight are looked at for one that is overdue.
HEDGE_SECONDS = 0.1

# An endpoint that takes connections and never answers is asked so often.
HANGING_ATTEMPTS = 3

# Results in the making, as a multiple of the parts that may be on the way: while one object ends the next one begins.
BACKLOG = 2

# Who watches is called so often, also when nothing ends.
WATCH_SECONDS = 0.1

# After Ctrl-C, or when the caller walks away: how long uploads may take to be aborted.
FAREWELL_SECONDS = 0.5
LAST_ABORT_SECONDS = 0.3
# The same after an error: nobody waits for a prompt, and a server under load takes its time.
TIDY_SECONDS = 5.0


class Driver:
    """Runs jobs over a remote. For one thread, for one call.

    Args:
        options: What goes with every request.
        on_turn: Is called with `moved` in each turn, at least ten times a second; what it raises ends the run.
    """

    def __init__(
        self, remote: Remote, options: Options = NO_OPTIONS, on_turn: Callable[[int], None] | None = None
    ) -> None:
        remote.check_fork()
        self._remote = remote
        self._options = options
        self._settings = remote.settings
        self._on_turn = on_turn
        try:
            self._queue: _native.Queue = remote.plane.Queue(process.plane(remote.plane, remote.settings))
        except OSError as error:
            raise ConfigurationError(
                f"the data plane cannot start: {error.strerror}; raise the limit of open files (ulimit -n) or of "
                "processes (ulimit -u)"
            ) from error
        self._open: deque[Job] = deque()  # may have requests to send
        self._started: set[Job] = set()
        self._ready: deque[Request] = deque()  # retries that are due, and what was not admitted yet
        self._later: list[tuple[float, int, Request]] = []
        self._paused: dict[Request, Report] = {}  # downloads that wait for memory to land in
        self._is_starved = False  # of memory: no request can be made
        self._ticket = 0
        self._finished: deque[Job] = deque()
        self._tidying: dict[Job, Job] = {}  # the jobs that tidy up at the server, and the failed ones they do it for
        self._admission: Admission
        parts = remote.concurrency.of(up=False, large=True).limit
        # Half of the ceiling for what is on the way leaves room for a result that is being looked at.
        room = self._settings.memory_ceiling // 2
        self._appetite = Appetite(min(BACKLOG * parts * self._settings.part_size, room), room)
        self._hedger = Hedger()
        self._uploading: set[Request] = set()  # parts that a second attempt could overtake
        self._hedge_at = 0.0
        self._trickles = Trickles(self._settings.stall_timeout, time.monotonic())
        self._is_hurried = True  # when it ends early: an interrupt, for all we know
        self._pid = os.getpid()

    def __repr__(self) -> str:
        return (
            f"<Driver [jobs: {len(self._started)} | requests: {len(self._queue)} in flight, {len(self._ready)} ready, "
            f"{len(self._later)} waiting to be tried again]>"
        )

    @property
    def moved(self) -> int:
        """Body bytes that this call's attempts have moved so far, parts in flight included, whatever became of them.

        For any thread.
        """
        return self._queue.moved

    def run(self, jobs: Iterable[Job]) -> Generator[Job, None, None]:
        """Yields each job when it is done or has failed (job.error), in the order in which they end.

        Jobs are drawn from `jobs` as there is room, so it may be endless. When the caller stops early (or is
        interrupted) what is on the way is cancelled, uploads are aborted, and all memory is let go. A caller whom an
        error stops throws it in here: then there is time for all aborts.
        """
        source = iter(jobs)
        exhausted = False
        self._admission = Admission(self._remote)
        try:
            while True:
                exhausted = self._fill(source, exhausted)
                if self._on_turn is not None:
                    self._on_turn(self.moved)
                while self._finished:
                    job = self._finished.popleft()
                    job.release()
                    yield job
                if exhausted and not self._started and not self._finished:
                    return
                self._take(self._patience())
        except Exception:
            self._is_hurried = False
            raise
        finally:
            self._farewell()

    async def arun(self, jobs: Iterable[Job]) -> AsyncGenerator[Job, None]:
        """`run` for a coroutine: waits by the running event loop. To be used in `contextlib.aclosing`.

        A turn between two waits is short; the longest things in it are reads and writes of files, of a part each.
        Cancelled, it leaves nothing behind before CancelledError goes on.
        """
        from fastdatastore.engine import waiting  # asyncio loads only for those who use it

        source = iter(jobs)
        exhausted = False
        may_wait = True
        self._admission = Admission(self._remote)
        try:
            while True:
                exhausted = self._fill(source, exhausted)
                if self._on_turn is not None:
                    self._on_turn(self.moved)
                while self._finished:
                    job = self._finished.popleft()
                    job.release()
                    yield job
                if exhausted and not self._started and not self._finished:
                    return
                patience = self._patience()
                try:
                    await waiting.for_reports(self._queue, patience)
                except GeneratorExit:  # thrown away by a loop that is no more
                    may_wait = False
                    raise
                self._take(0.0 if len(self._queue) else min(patience, 0.0))
        except Exception:
            self._is_hurried = False
            raise
        finally:
            if may_wait and self._started and os.getpid() == self._pid:
                await waiting.in_a_thread(self._farewell)
            else:
                self._farewell()

    # ---- sending ----

    def _fill(self, source: Iterator[Job], exhausted: bool) -> bool:
        """Submits what there is room for. Returns whether the source has run dry."""
        now = time.monotonic()
        while self._later and self._later[0][0] <= now:
            self._ready.append(heapq.heappop(self._later)[2])
        self._is_starved = False
        for paused, report in list(self._paused.items()):
            if not self._is_starved:
                self._direct(paused, report, now)
        batch: list[Request] = []
        while True:
            request = self._ready.popleft() if self._ready else self._next_of_open(batch)
            while request is None and not exhausted and not self._appetite.is_sated and not self._is_starved:
                job = next(source, None)
                if job is None:
                    exhausted = True
                    break
                job.began = now
                self._started.add(job)
                self._open.append(job)
                if job.size_comes_late:
                    self._appetite.on_begun(job)
                request = self._next_of_open(batch)
                if request is not None and request.operation == "CreateMultipartUpload":
                    self._appetite.on_begun(job, job.size or None)
            if request is None:
                break
            if not self._admission.admits(request, now):
                self._ready.appendleft(request)
                break
            request.job.in_flight.add(request)
            batch.append(request)
        self._hedge(batch, now)
        self._submit(batch, now)
        self._give_up_trickles(now)
        self._admission.turn(now)
        return exhausted

    def _may_take(self, size: int, batch: Sequence[Request] = ()) -> bool:
        """Whether so many bytes may be taken of the pool: then it has to be told when they are (admission.spent)."""
        on_the_way = batch or self._ready or self._later or len(self._queue) > len(self._paused)
        self._is_starved = self._is_starved or not self._admission.grants(size, not on_the_way)
        return not self._is_starved

    def _next_of_open(self, batch: Sequence[Request]) -> Request | None:
        while self._open:
            job = self._open[0]
            try:
                need = job.need()
                if need and not self._may_take(need, batch):
                    return None
                try:
                    request = job.next_request()
                finally:
                    self._admission.spent(need)
            except Exception as error:  # the user's own, of a file or a stream that is read, is the job's failure too
                self._fail(job, error)  # takes it off the queue, and settles it
                continue
            if request is not None:
                return request
            self._open.popleft()
            self._settle(job)
        return None

    def _submit(self, batch: list[Request], now: float) -> None:
        if self._settings.inject_failures:
            batch = [request for request in batch if not self._is_struck(request, now)]
        if not batch:
            return
        try:
            orders = self._orders(batch)
        except FastDatastoreError as error:
            for request in batch:
                self._admission.on_withdrawn(request)
                request.job.in_flight.discard(request)
            for request in batch:  # a job ends when its last request is off, so all go first
                self._fail(request.job, error)
            return
        for request in batch:
            request.attempts += 1
            request.job.attempts += 1
            request.started = request.started or now
            request.sent_at = now
            request.given_up = ""
            if request.operation == "UploadPart":
                self._uploading.add(request)
        self._queue.submit(orders)

    def _is_struck(self, request: Request, now: float) -> bool:
        """Whether this attempt fails on purpose: it counts, and is over before anything was sent."""
        error = injection.strike(request, self._settings)
        if error is None:
            return False
        self._admission.on_withdrawn(request)
        job = request.job
        job.in_flight.discard(request)
        request.attempts += 1
        job.attempts += 1
        if request.attempts >= self._settings.attempts:
            self._fail(job, error)
            self._settle(job)
        else:
            job.retries += 1
            self._ticket += 1
            heapq.heappush(self._later, (now, self._ticket, request))
        return True

    def _orders(self, requests: Sequence[Request]) -> list[_native.Order]:
        snapshot = self._remote.snapshot()
        return [self._remote.order(r, snapshot, self._options.headers(r.operation)) for r in requests]

    def _hedge(self, batch: list[Request], now: float) -> None:
        """Sends the part that is most overdue a second time, if the budget allows it and there is room."""
        if not self._uploading or now < self._hedge_at:
            return
        self._hedge_at = now + HEDGE_SECONDS
        alone = [(r, r.sent_at, r.weight) for r in self._uploading if r.twin is None and r.job.error is None]
        late = self._hedger.pick(now, alone)
        if late is None:
            return
        twin = late.double()
        if self._admission.admits(twin, now):
            twin.job.in_flight.add(twin)
            batch.append(twin)
        else:
            late.twin = None

    def _give_up_trickles(self, now: float) -> None:
        if now < self._trickles.due:
            return
        progress = cast("list[tuple[Request, int]]", self._queue.progress())
        # Who has patience waits for the server's work; what moves meanwhile are blanks that keep the connection.
        progress = [(r, moved) for r, moved in progress if not r.patience and r not in self._paused]
        for request, why in self._trickles.look(now, self._queue.moved, progress):
            request.given_up = why
            request.trickled += 1
            self._queue.cancel(request)

    def _patience(self) -> float:
        """Seconds until a request may go out; -1.0 when only reports can bring news."""
        if self._finished:
            return 0.0
        if self._ready:
            return self._admission.wait
        if self._is_starved:
            return LOOK_AGAIN
        now = time.monotonic()
        dues = [self._later[0][0]] if self._later else []
        if self._on_turn is not None and len(self._queue):
            dues.append(now + WATCH_SECONDS)
        if self._uploading:
            dues.append(self._hedge_at)
        if len(self._queue):
            dues.append(self._trickles.due)
        return max(0.0, min(dues) - now) if dues else -1.0

    # ---- receiving ----

    def _take(self, patience: float) -> None:
        if os.getpid() != self._pid:
            raise RuntimeError("transfers cannot go on in a forked child; start new ones there")
        if not len(self._queue):
            if patience < 0:
                raise RuntimeError(f"nothing to wait for: {self!r}")
            time.sleep(patience)
            return
        reports = self._queue.take(patience)
        now = time.monotonic()
        for report in reports:
            request = cast(Request, report.tag)
            if report.paused:
                self._paused[request] = report
                self._direct(request, report, now)
                continue
            request.job.in_flight.discard(request)
            self._paused.pop(request, None)
            self._handle(request, report, now)
        self._admission.turn(now)

    def _direct(self, request: Request, report: Report, now: float) -> None:
        job = request.job
        try:
            if job.error is not None:
                raise job.error
            need = job.need_when_paused(report)
            if need and not self._may_take(need):
                return
            try:
                target, crc = job.on_paused(request, report)
            finally:
                self._admission.spent(need)
        except FastDatastoreError as error:
            del self._paused[request]
            self._fail(job, error)
            self._queue.cancel(request)
            return
        del self._paused[request]
        request.target, request.is_large = target, True
        self._appetite.on_size(job)
        self._admission.on_large(request, now)
        self._queue.proceed(request, target, crc)
        self._reopen(job)

    def _handle(self, request: Request, report: Report, now: float) -> None:
        job = request.job
        if report.status:
            self._remote.has_answered = True
        verdict = retry.judge(request, report)
        self._admission.on_report(request, report, verdict.kind is retry.Kind.ANSWER, verdict.throttled, now)
        self._uploading.discard(request)
        if job.error is not None or job.done or self._is_overtaken(request, verdict):
            self._settle(job)
            return
        if verdict.kind is retry.Kind.ANSWER:
            if request.is_large:
                self._trickles.on_done(report.sent + report.landed, report.took - report.waited)
            try:
                job.on_answer(request, report)
            except RetryRequest as again:
                self._retry(request, report, retry.Verdict(retry.Kind.RETRY, cast(S3Error, again.error)))
                return
            except Exception as error:
                self._fail(job, error)
            if request.operation == "CreateMultipartUpload":  # now it has parts to send
                self._appetite.on_ended(job)
            self._remote.retry_budget.give_back(request.cost or REFUND)
            self._reopen(job)
            self._settle(job)
        else:
            self._retry(request, report, verdict)

    def _is_overtaken(self, request: Request, verdict: retry.Verdict) -> bool:
        """Of two attempts of one part the first answer counts; a failure only when it is the last."""
        if verdict.kind is retry.Kind.ANSWER and request.operation == "UploadPart":
            self._hedger.on_done(request.weight, time.monotonic() - request.sent_at)
        twin, request.twin = request.twin, None
        if twin is None:
            return False
        if twin not in request.job.in_flight:  # it has won
            return True
        if verdict.kind is retry.Kind.ANSWER:
            self._queue.cancel(twin)
            return False
        twin.twin = None
        return True

    def _retry(self, request: Request, report: Report, verdict: retry.Verdict) -> None:
        job = request.job
        assert verdict.error is not None
        kind = verdict.kind
        if kind is retry.Kind.MEND:
            kind = retry.Kind.FREE_RETRY if self._mend(request, report, verdict) else retry.Kind.FATAL
        if kind is retry.Kind.RETRY and not self._pay(request, report):
            kind = retry.Kind.FATAL
        limit = min(self._settings.attempts, verdict.limit or self._settings.attempts)
        if report.outcome == _native.STALLED and not self._remote.has_answered:
            limit = min(limit, HANGING_ATTEMPTS)
        if kind is retry.Kind.FATAL or (kind is retry.Kind.RETRY and request.attempts >= limit):
            self._fail(job, verdict.error)
            self._settle(job)
            return
        try:
            job.before_retry(request, report)
        except FastDatastoreError as error:
            self._fail(job, error)
            self._settle(job)
            return
        job.retries += 1
        if kind is retry.Kind.FREE_RETRY:
            request.stale += 1
            request.attempts -= 1
            self._ready.append(request)
            return
        self._ticket += 1
        due = time.monotonic() + retry.delay(request.attempts, verdict.throttled)
        heapq.heappush(self._later, (due, self._ticket, request))

    def _mend(self, request: Request, report: Report, verdict: retry.Verdict) -> bool:
        """Puts right what the server complains of; False when that was tried before, or nothing can be done."""
        assert verdict.mend is not None
        assert request.terms is not None
        if verdict.mend in request.mended:
            return False
        request.mended.add(verdict.mend)
        match verdict.mend:
            case retry.Mend.CREDENTIALS:
                # An error of renewing is not raised: the server's word, that they have expired, says more.
                with contextlib.suppress(FastDatastoreError):
                    return self._remote.renew(request.terms)
                return False
            case retry.Mend.CLOCK:
                return self._remote.set_clock(report.headers.get("date", ""), request.terms)
            case retry.Mend.REGION:
                return self._remote.relocate(request.bucket, verdict.region, request.terms)

    def _pay(self, request: Request, report: Report) -> bool:
        """Takes the retry out of the client's budget; False when it is used up: a sick server is not beaten further."""
        budget = self._remote.retry_budget
        budget.widen(len(self._queue))
        request.cost = budget.take(timed_out=report.outcome == _native.STALLED or bool(request.given_up))
        return request.cost > 0

    # ---- the end of a job ----

    def _reopen(self, job: Job) -> None:
        if job.done or job.error is not None or job in self._open:
            return
        if self._open and job.began < self._open[0].began:  # what was begun first ends first, and lets go of its memory
            self._open.appendleft(job)
        else:
            self._open.append(job)

    def _fail(self, job: Job, error: Exception) -> None:
        """Marks the job; its other requests are called back, its cleanup comes when they are."""
        if job.error is not None:
            return
        job.error = error
        if job in self._open:
            self._open.remove(job)
        self._ready = deque(r for r in self._ready if r.job is not job)
        self._later = [entry for entry in self._later if entry[2].job is not job]
        heapq.heapify(self._later)
        for request in job.in_flight:
            self._queue.cancel(request)
        self._settle(job)

    def _settle(self, job: Job) -> None:
        """Hands the job to the caller when it is over and nothing of it is on the way."""
        if job not in self._started or job.in_flight or not (job.done or job.error):
            return
        self._started.discard(job)
        failed = self._tidying.pop(job, None)
        if failed is not None:  # whatever came of it, the failure is what counts
            job = failed
        elif job.error is not None and (tidying := job.cleanup()) is not None:
            self._tidying[tidying] = job
            self._started.add(tidying)
            self._open.append(tidying)
            return
        if job.size_comes_late and job.done:
            self._appetite.on_size(job)
        self._appetite.on_ended(job)
        job.ended = time.monotonic()
        self._finished.append(job)

    def _farewell(self) -> None:
        """Leaves nothing behind: cancels, aborts, releases."""
        if os.getpid() != self._pid:
            return  # after a fork all of it is the parent's: requests, files, uploads
        self._admission.leave(time.monotonic())
        while self._finished:  # ended, but the caller did not wait for them
            self._finished.popleft().release()
        if not self._started:
            return
        with contextlib.ExitStack() as releases:  # each of them, also when a second Ctrl-C comes or one of them fails
            # A traceback may keep this driver, and a job and its requests keep each other: none of it may keep memory.
            for waiting in (self._open, self._ready, self._later, self._uploading, self._paused, self._started):
                releases.callback(waiting.clear)
            for job in {self._tidying.get(job, job) for job in self._started}:
                releases.callback(_let_go, job)
            self._call_off()

    def _call_off(self) -> None:
        """Cancels what is on the way and aborts uploads, within TIDY_SECONDS; in a hurry, FAREWELL_SECONDS."""
        deadline = time.monotonic() + (FAREWELL_SECONDS if self._is_hurried else TIDY_SECONDS)
        for request in [request for job in self._started for request in job.in_flight]:
            if request.operation != "CreateMultipartUpload":  # its reply names what is to be aborted: worth a wait
                self._queue.cancel(request)
        while len(self._queue):
            left = deadline - time.monotonic()
            if left <= 0:
                self._queue.cancel()
            for report in self._queue.take(left if left > 0 else 1.0):
                self._hear_out(report)
        stopped = {self._tidying.get(job, job) for job in self._started}
        todo = [tidying.next_request() for job in stopped if (tidying := job.cleanup()) is not None]
        if todo:
            with contextlib.suppress(FastDatastoreError):  # without credentials none can be aborted
                self._queue.submit(self._orders([request for request in todo if request is not None]))
            seconds = LAST_ABORT_SECONDS if self._is_hurried else TIDY_SECONDS
            deadline = max(deadline, time.monotonic() + seconds)
            while len(self._queue) and (left := deadline - time.monotonic()) > 0:
                self._queue.take(left)
            self._queue.cancel()
            while len(self._queue):
                self._queue.take(1.0)

    def _hear_out(self, report: Report) -> None:
        """An answer that came before the cancel may name an upload, which is to be aborted then."""
        request = cast(Request, report.tag)
        job = request.job
        if report.paused or job.error or job.done or retry.judge(request, report).kind is not retry.Kind.ANSWER:
            return
        # Whatever it raises, a sink's or source's own exceptions too: the one that ends the run is on its way already.
        with contextlib.suppress(Exception):
            job.on_answer(request, report)


def _let_go(job: Job) -> None:
    for request in job.in_flight:
        request.target = request.body = None
    job.in_flight.clear()
    job.release()
