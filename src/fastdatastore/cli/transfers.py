"""Runs what a verb has to do, many things at once: a line for each on stdout, failures named and counted on stderr."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fastdatastore import errors
from fastdatastore.bench.sizes import format_size
from fastdatastore.cli.telling import write_failure
from fastdatastore.progress.line import UPDATE_SECONDS, LiveLine
from fastdatastore.progress.terminal import Terminal

if TYPE_CHECKING:
    from fastdatastore.engine.client import Client
    from fastdatastore.engine.job import Job

# After one of these all the rest would fail in the same way.
HOPELESS = (
    errors.BadCredentials,
    errors.BucketNotFound,
    errors.ConnectError,
    errors.ExpiredCredentials,
    errors.InsufficientDiskSpace,
    errors.NoCredentials,
    errors.TlsError,
)


def write_line(text: str) -> None:
    """To stdout; what its encoding lacks (a file's name may be no text at all) is escaped."""
    encoding = sys.stdout.encoding or "utf-8"
    print(text.encode(encoding, "backslashreplace").decode(encoding))


@dataclass(frozen=True)
class Action:
    """One thing to do.

    Attributes:
        verb: "upload", "download", "copy" or "delete".
        key: Of what is deleted, where one job deletes many.
        on_done: Is called when its job is done; may raise LocalFileError.
    """

    verb: str
    source: str
    target: str | None = None
    size: int | None = None
    key: str = ""
    on_done: Callable[[Job], None] | None = None

    def __str__(self) -> str:
        return f"{self.verb}: {self.source}" + (f" to {self.target}" if self.target is not None else "")

    def facts(self, **more: Any) -> str:
        """For --json."""
        known = {"operation": self.verb, "source": self.source, "target": self.target, "size": self.size}
        return json.dumps({name: value for name, value in (known | more).items() if value is not None})


class Transfers:
    """What one command does, and how it goes.

    Attributes:
        done, failed: How many so far.
        dry_run: Only say what would be done.
    """

    def __init__(self, client: Client, *, as_json: bool, quiet: bool = False, dry_run: bool = False) -> None:
        self.done = 0
        self.failed = 0
        self._client = client
        self._as_json = as_json
        self._quiet = quiet
        self.dry_run = dry_run
        self._under_way: dict[Job, tuple[Action, ...]] = {}
        terminal = Terminal.of(sys.stderr)
        self._line = LiveLine(terminal)
        self._is_live = terminal.is_live and not quiet
        self._began = self._told = time.monotonic()

    @property
    def exit_code(self) -> int:
        return 1 if self.failed else 0

    def run(self, work: Iterable[tuple[Action | tuple[Action, ...], Callable[[], Job]]]) -> None:
        """Does all of it; `work` is drawn as there is room.

        Args:
            work: What to do, and what makes the job for it. Several actions may be one job's, as for DeleteObjects.

        Raises:
            FastDatastoreError: It makes no sense to go on.
        """
        try:
            for job in self._client.run(self._jobs(work), self._tell if self._is_live else None):
                self._settle(job, self._under_way.pop(job))
        finally:
            self._line.clear()

    def _jobs(self, work: Iterable[tuple[Action | tuple[Action, ...], Callable[[], Job]]]) -> Iterator[Job]:
        for what, make in work:
            actions = what if isinstance(what, tuple) else (what,)
            if self.dry_run:
                for action in actions:
                    self.succeeded(action)
                continue
            try:
                job = make()
            except errors.FastDatastoreError as error:
                for action in actions:
                    self.fail(action, error)
                continue
            self._under_way[job] = actions
            yield job

    def _settle(self, job: Job, actions: tuple[Action, ...]) -> None:
        failures = {error.key: error for error in getattr(job, "failures", ())}
        if job.error is not None and not failures:
            for action in actions:
                self.fail(action, job.error)
            return
        for action in actions:
            if (failure := failures.get(action.key)) is not None:
                self.fail(action, failure)
                continue
            try:
                if action.on_done is not None:
                    action.on_done(job)
            except errors.LocalFileError as error:
                self.fail(action, error)
            else:
                self.succeeded(action, job.verified_by or None)

    def succeeded(self, action: Action, verified_by: str | None = None) -> None:
        """Counts it and says so."""
        self.done += 1
        if self._as_json:
            self._write(action.facts(success=True, dry_run=self.dry_run or None, verified_by=verified_by))
        elif not self._quiet:
            self._write(f"(dryrun) {action}" if self.dry_run else str(action))

    def fail(self, action: Action, error: Exception) -> None:
        """Counts it and says so.

        Raises:
            Exception: `error`, if all the rest would fail in the same way.
        """
        self.failed += 1
        if self._as_json:
            self._write(action.facts(success=False, error=str(error)))
        if isinstance(error, HOPELESS):
            raise error
        self.warn(f"{action}: {error}")
        for note in getattr(error, "__notes__", ()):
            self.warn(note)

    def refuse(self, text: str) -> None:
        """Counts something that cannot even be begun, and says why."""
        self.failed += 1
        if self._as_json:
            self._line.clear()
            write_failure(text)
        self.warn(text)

    def warn(self, text: str) -> None:
        """A line on stderr."""
        self._line.line(f"fds: {text}")

    def finish(self) -> int:
        """Says how many have failed, and returns the exit code."""
        if self.failed:
            self.warn(f"{self.failed:,} of {self.done + self.failed:,} failed")
        return self.exit_code

    def _write(self, text: str) -> None:
        self._line.clear()
        write_line(text)

    def _tell(self, moved: int) -> None:
        """Says on the terminal how far it is."""
        now = time.monotonic()
        if now - self._told < UPDATE_SECONDS:
            return
        self._told = now
        rate = moved * 8e-9 / (now - self._began)
        counts = f"{self.done:,} done, {len(self._under_way):,} under way"
        self._line.say(f"{counts}, {format_size(moved)}, {rate:.2f} Gbit/s")
