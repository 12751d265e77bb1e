"""The loop: turns of sending and receiving, until all jobs have ended or the caller walks away."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import AsyncGenerator, Callable, Generator, Iterable

from fastdatastore.engine import process
from fastdatastore.engine.admission import LOOK_AGAIN, Admission
from fastdatastore.engine.appetite import Appetite
from fastdatastore.engine.driver.agenda import Agenda
from fastdatastore.engine.driver.farewell import call_off, let_go, tidy_up
from fastdatastore.engine.driver.laggards import Laggards
from fastdatastore.engine.driver.receiving import Receiver
from fastdatastore.engine.driver.room import Room
from fastdatastore.engine.driver.sending import Sender
from fastdatastore.engine.job import Job
from fastdatastore.engine.options import NO_OPTIONS, Options
from fastdatastore.engine.planes.local import local as _native
from fastdatastore.engine.remote import Remote
from fastdatastore.errors import ConfigurationError

# Results in the making, as a multiple of the parts that may be on the way: while one object ends the next one begins.
BACKLOG = 2

# When a run ends early, what is on the way is cancelled and uploads are aborted. How long the caller waits for that:
# after Ctrl-C, or when it walks away; and after an error, when nobody waits for a prompt and servers may be slow.
HURRIED_SECONDS = 0.5
TIDY_SECONDS = 5.0

# Who watches is called so often, also when nothing ends.
WATCH_SECONDS = 0.1


class Driver:
    """Runs jobs over a remote. For one thread, for one call: it owns one completion queue, so threads never wait for
    each other.

    Args:
        options: What goes with every request.
        on_turn: Is called with `moved` in each turn, at least ten times a second; what it raises ends the run.
    """

    def __init__(
        self, remote: Remote, options: Options = NO_OPTIONS, on_turn: Callable[[int], None] | None = None
    ) -> None:
        remote.check_fork()
        settings = remote.settings
        self._remote = remote
        self._options = options
        self._on_turn = on_turn
        self._plane = process.plane(remote.plane, settings)
        try:
            self._queue: _native.Queue = remote.plane.Queue(self._plane)
        except OSError as error:
            raise ConfigurationError(
                f"the data plane cannot start: {error.strerror}; raise the limit of open files (ulimit -n) or of "
                "processes (ulimit -u)"
            ) from error
        parts = remote.concurrency.of(up=False, large=True).limit
        # Half of the ceiling for what is on the way leaves room for a result that is being looked at.
        room = settings.memory_ceiling // 2
        appetite = Appetite(min(BACKLOG * parts * settings.part_size, room), room)
        self._admission = Admission(remote)
        self._room = Room(self._queue, self._admission)
        self._agenda = Agenda(self._queue, appetite, self._room)
        self._laggards = Laggards(self._queue, self._room, settings.stall_timeout, time.monotonic())
        self._sender = Sender(remote, options, self._queue, self._agenda, self._admission, self._laggards)
        self._receiver = Receiver(
            remote, self._queue, self._agenda, appetite, self._admission, self._laggards, self._room
        )
        self._is_hurried = True  # when it ends early: an interrupt, for all we know
        self._pid = os.getpid()

    def __repr__(self) -> str:
        return f"<Driver [{len(self._queue)} requests in flight] {self._agenda!r}>"

    @property
    def moved(self) -> int:
        """Body bytes that this call's attempts have moved so far, parts in flight included, whatever became of them.

        For any thread.
        """
        return self._queue.moved

    def run(self, jobs: Iterable[Job | None]) -> Generator[Job, None, None]:
        """Yields each job when it is done or has failed (job.error), in the order in which they end.

        Jobs are drawn from `jobs` as there is room, so it may be endless. It may yield None, "none at the moment": what
        is on the way goes on, and it is asked again after some milliseconds, or when something has ended.

        When the caller stops early (or is interrupted) what is on the way is cancelled, uploads are aborted, and all
        memory is let go. A caller whom an error stops throws it in here: then there is time for all aborts.
        """
        self._begin(jobs)
        try:
            for job in self._turns():
                if job is not None:
                    yield job
                else:
                    self._receive(self._patience())
        except Exception:
            self._is_hurried = False
            raise
        finally:
            self._farewell()

    async def arun(self, jobs: Iterable[Job | None]) -> AsyncGenerator[Job, None]:
        """`run` for a coroutine: waits by the running event loop. To be used in `contextlib.aclosing`.

        A turn between two waits is short; the longest things in it are reads and writes of files, of a part each.
        Cancelled, it leaves nothing of its own behind before CancelledError goes on; aborts of uploads that the server
        is slow to answer may go on in the background.
        """
        from fastdatastore.engine import waiting  # asyncio loads only for those who use it

        may_wait = True
        self._begin(jobs)
        try:
            for job in self._turns():
                if job is not None:
                    yield job
                    continue
                patience = self._patience()
                try:
                    await waiting.for_reports(self._queue, patience)
                except GeneratorExit:  # thrown away by a loop that is no more
                    may_wait = False
                    raise
                self._receive(0.0 if len(self._queue) else min(patience, 0.0))
        except Exception:
            self._is_hurried = False
            raise
        finally:
            if may_wait and self._agenda.started and os.getpid() == self._pid:
                await waiting.in_a_thread(self._farewell)
            else:
                self._farewell()

    # ---- a turn ----

    def _begin(self, jobs: Iterable[Job | None]) -> None:
        source = iter(jobs)
        self._admission.join()
        self._agenda.draw_from(source)

    def _turns(self) -> Generator[Job | None, None, None]:
        """Jobs, as they end; None where a turn is over, and reports are to be waited for."""
        while True:
            self._send()
            while (job := self._agenda.next_ended()) is not None:
                yield job
            if self._agenda.is_over:
                return
            yield None

    def _send(self) -> None:
        now = time.monotonic()
        self._receiver.direct_paused(now)
        self._agenda.work()
        self._sender.send(now)
        self._laggards.call_off_trickles(now)
        self._admission.turn(now)
        if self._on_turn is not None:
            self._on_turn(self.moved)

    def _patience(self) -> float:
        """Seconds until the next turn; -1.0 when only reports can bring news."""
        patience = self._until_there_is_work()
        if self._on_turn is None or (patience < 0 and not len(self._queue)):
            return patience
        return WATCH_SECONDS if patience < 0 else min(patience, WATCH_SECONDS)

    def _until_there_is_work(self) -> float:
        """Seconds until a request may go out; -1.0 when only reports can bring news."""
        if self._agenda.has_ended or self._agenda.is_at_work:
            return 0.0
        now = time.monotonic()
        waits = [due - now for due in self._laggards.dues()]
        if self._agenda.is_ready:
            waits.append(self._admission.wait)
        if self._room.is_starved:
            waits.append(LOOK_AGAIN)
        elif self._room.paused:
            waits.append(self._remote.pacer.wait(now))
        if (due := self._agenda.due) is not None:
            waits.append(due - now)
        if (nap := self._agenda.nap) is not None:
            waits.append(nap)
        return max(0.0, min(waits)) if waits else -1.0

    def _receive(self, patience: float) -> None:
        if os.getpid() != self._pid:
            raise RuntimeError("transfers cannot go on in a forked child; start new ones there")
        if len(self._queue):
            self._receiver.receive(patience)
        elif patience < 0:
            raise RuntimeError(f"nothing to wait for: {self!r}")
        else:
            time.sleep(patience)

    # ---- the end ----

    def _farewell(self) -> None:
        """Leaves nothing behind: cancels, aborts, releases."""
        if os.getpid() != self._pid:
            return  # after a fork all of it is the parent's: requests, files, uploads
        now = time.monotonic()
        deadline = now + (HURRIED_SECONDS if self._is_hurried else TIDY_SECONDS)
        self._admission.leave(now)
        while self._agenda.next_ended() is not None:
            pass  # the caller did not wait for them
        if not self._agenda.started:
            return
        with contextlib.ExitStack() as releases:  # each of them, also when a second Ctrl-C comes or one of them fails
            # A traceback may keep this driver, and what it waits for.
            releases.callback(self._agenda.clear)
            releases.callback(self._laggards.clear)
            releases.callback(self._room.paused.clear)
            for job in self._agenda.stopped():
                releases.callback(let_go, job)
            tidying = call_off(self._queue, self._agenda, deadline)
        if tidying and not self._plane.closed:  # it is at the interpreter's end, when no thread can begin any more
            tidy_up(lambda: Driver(self._remote, self._options).run(tidying), deadline)
