"""`fds bench`: measures the engine against a server of its own, or against a bucket of the user's."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastdatastore.bench.sizes import parse_size
from fastdatastore.bench.workloads import MAIN_JOB, Operation, Workload
from fastdatastore.cli.commands import CannotRun

if TYPE_CHECKING:
    from fastdatastore.bench.runner import Outcome, Runner
    from fastdatastore.bench.target import Target
    from fastdatastore.progress.line import LiveLine

# The engine is imported when a benchmark runs, so that `fds --help` is quick.

SERVERS = {"embedded": "seaweedfs", "null": "null", "minio": "minio", "ceph": "ceph", "moto": "moto"}
MAX_COUNT = 1_000_000

# After an error there is time to clean up well; Ctrl-C has to end within a second.
REMOVAL_SECONDS = 60.0
REMOVAL_SECONDS_WHEN_STOPPED = 0.7

_DESCRIPTION = """\
Uploads and downloads objects, verifies every byte, and prints Gbit/s, latencies
and the core-seconds (user and system time of this process) that each GB costs.
Without sizes it does the main job: one object of 512 MiB, 64 of 4 MiB and 1,000
of 16 KiB.
"""
_EPILOG = """\
Sizes are written like 16KiB, 4MiB, 1GiB, 1GB, 1e9 or 4096. In a bucket of yours
everything happens under a random prefix "fds-bench-.../" and is removed at the
end; no other key is touched. (A versioned bucket keeps the old versions.)
Credentials come from the usual AWS variables and files.

  fds bench                                      the main job, embedded server
  fds bench --server null --op get --size 1GiB   this client's ceiling
  fds bench --endpoint http://minio:9000 --bucket tmp
"""


def add_to(verbs: argparse._SubParsersAction[Any]) -> None:
    """Adds the verb to the command line."""
    parser = verbs.add_parser(
        "bench",
        help="measure the engine against an S3 server",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    where = parser.add_argument_group("where")
    where.add_argument("--server", choices=list(SERVERS), help="start this server for it (default: embedded)")
    where.add_argument("--tls", action="store_true", help="let that server speak TLS")
    where.add_argument("--endpoint", metavar="URL", help="a store that runs (default: what the AWS variables say)")
    where.add_argument("--bucket", metavar="NAME", help="a bucket of yours there")
    what = parser.add_argument_group("what")
    what.add_argument(
        "--op", action="append", choices=[str(o) for o in Operation], help="put or get; may be repeated (default: both)"
    )
    what.add_argument("--size", type=_size, metavar="BYTES", help="one object of this size")
    what.add_argument("--count", type=_count, metavar="N", help="so many objects, of --object-size")
    what.add_argument("--object-size", type=_size, metavar="BYTES", help="size of each of --count objects")
    how = parser.add_argument_group("how")
    how.add_argument("--repeat", type=_count, metavar="N", default=1, help="show the median of N runs (default: 1)")
    how.add_argument("--json", type=Path, metavar="FILE", help="write the result as JSON, too")
    parser.set_defaults(run=_run)


def _size(text: str) -> int:
    try:
        return parse_size(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _count(text: str) -> int:
    try:
        value = int(text)
    except ValueError:
        value = 0
    if not 1 <= value <= MAX_COUNT:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1 to {MAX_COUNT:,}")
    return value


def _workloads(options: argparse.Namespace) -> tuple[Workload, ...]:
    if options.size is not None:
        if options.count is not None or options.object_size is not None:
            raise CannotRun("--size is one object, --count and --object-size are many: give one or the other")
        return (Workload(1, options.size),)
    if (options.count is None) != (options.object_size is None):
        raise CannotRun("--count and --object-size go together, e.g. --count 64 --object-size 4MiB")
    if options.count is not None:
        return (Workload(options.count, options.object_size),)
    return MAIN_JOB


def _check_place(options: argparse.Namespace) -> None:
    if options.server is not None and (options.endpoint is not None or options.bucket is not None):
        raise CannotRun("--server starts a server of its own; --endpoint and --bucket are for one that runs already")
    if options.endpoint is not None and options.bucket is None:
        raise CannotRun("--endpoint needs --bucket: one of yours, in which a random prefix will be used")
    if options.bucket is not None and options.tls:
        raise CannotRun("--tls is for --server; for an endpoint of yours, write https:// in its URL")


def _check_json(path: Path) -> None:
    if path.is_dir() or not os.access(path.parent, os.W_OK):
        raise CannotRun(f"--json: {path} cannot be written; give the path of a file in a directory that is there")


def _run(options: argparse.Namespace) -> int:
    operations = tuple(operation for operation in Operation if not options.op or operation in options.op)
    workloads = _workloads(options)
    _check_place(options)
    if options.json is not None:
        _check_json(options.json)

    from fastdatastore.progress.line import LiveLine
    from fastdatastore.progress.terminal import Terminal

    progress = LiveLine(Terminal.of(sys.stderr))
    try:
        outcomes, environment = _measure(options, operations, workloads, progress)
    finally:
        progress.clear()
    return _report(options, outcomes, environment)


def _measure(
    options: argparse.Namespace,
    operations: tuple[Operation, ...],
    workloads: tuple[Workload, ...],
    progress: LiveLine,
) -> tuple[list[Outcome], dict[str, Any]]:
    from fastdatastore.testing.servers import ServerUnavailable

    server = None if options.bucket is not None else SERVERS[options.server or "embedded"]
    puts = Operation.PUT in operations or server != "null"
    _check_room(workloads, server, puts)
    try:
        place = _open(options, server, operations, workloads, progress)
        with place as target:
            return _measure_at(target, operations, workloads, progress, options.repeat)
    except ServerUnavailable as error:
        raise CannotRun(str(error)) from None


def _check_room(workloads: tuple[Workload, ...], server: str | None, puts: bool) -> None:
    from fastdatastore.bench.room import why_no_room

    if (why := why_no_room(workloads, server, puts=puts)) is not None:
        raise CannotRun(why)


def _open(
    options: argparse.Namespace,
    server: str | None,
    operations: tuple[Operation, ...],
    workloads: tuple[Workload, ...],
    progress: LiveLine,
) -> AbstractContextManager[Target]:
    from fastdatastore.bench import target

    if server is None:
        return nullcontext(target.existing(options.endpoint, options.bucket))
    tempfile.gettempdir()  # its first call writes and removes a file: better before there is something to interrupt
    progress.say(f"starting {server}")
    return target.started(
        server,
        tls=options.tls,
        puts=Operation.PUT in operations,
        gets=Operation.GET in operations,
        total=sum(workload.total for workload in workloads),
    )


def _measure_at(
    target: Target,
    operations: tuple[Operation, ...],
    workloads: tuple[Workload, ...],
    progress: LiveLine,
    repetitions: int,
) -> tuple[list[Outcome], dict[str, Any]]:
    from fastdatastore.bench import environment, report
    from fastdatastore.bench.runner import Runner

    runner = Runner(target, progress, repetitions)
    outcomes = []
    seconds = REMOVAL_SECONDS
    try:
        for workload in workloads:
            for outcome in runner.measure(workload, operations):
                outcomes.append(outcome)
                progress.finished(report.summary(outcome))
    except KeyboardInterrupt:
        seconds = REMOVAL_SECONDS_WHEN_STOPPED
        raise
    finally:
        if target.server is None:
            _remove(target, runner, progress, seconds)
    return outcomes, environment.describe(target)


def _remove(target: Target, runner: Runner, progress: LiveLine, seconds: float) -> None:
    from fastdatastore.bench.removal import remove

    progress.say("removing what was made")
    if left := remove(target, runner.made, runner.unsettled, seconds):
        url = f"s3://{target.bucket}/{target.prefix}"
        endpoint = f" --endpoint-url {found}" if (found := target.client.remote.endpoint.url) else ""
        count = f"{left:,} object{'s' if left > 1 else ''}"
        progress.line(f"fds: up to {count} may be left; remove them by: aws s3 rm --recursive {url}{endpoint}")


def _report(options: argparse.Namespace, outcomes: list[Outcome], environment: dict[str, Any]) -> int:
    from fastdatastore.bench import document, report
    from fastdatastore.progress.terminal import Terminal

    terminal = Terminal.of(sys.stdout)
    print(report.table(outcomes, terminal))
    print()
    print(report.footer(outcomes, environment, terminal), flush=True)
    failures = [failure for outcome in outcomes for failure in outcome.failures]
    if options.json is not None:
        try:
            document.write_document(options.json, document.make_document(environment, outcomes))
        except OSError as error:
            print(f"fds: {options.json} cannot be written: {error.strerror}", file=sys.stderr)
            return 1
    if failures:
        count = f"{len(failures):,} object{'s' if len(failures) > 1 else ''}"
        print(f"fds: {count} failed or came back wrong, first: {failures[0]}", file=sys.stderr)
    return 1 if failures else 0
