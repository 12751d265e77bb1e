"""`fds artifact gc`: collects garbage."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from fastdatastore.cli.artifact.stores import add_store, open_store, saying
from fastdatastore.cli.commands import CannotRun
from fastdatastore.cli.connection import Verbs, add_verb
from fastdatastore.cli.sweep import parse_age
from fastdatastore.cli.telling import telling

if TYPE_CHECKING:
    from typing import Any

    from fastdatastore.store.collection.report import Amount, GcReport

_DESCRIPTION = """\
Deletes chunks that no artifact has any more, in two steps, so that others may
put and get meanwhile: a run condemns what is garbage, and a later run, when the
grace period is over, deletes what is garbage still. So have it run once a day.
"""
_EXAMPLES = """\
  fds artifact gc s3://bucket/store
  fds artifact gc s3://bucket/store --untagged --older-than 30d --dry-run
  fds artifact gc file:///data/store --exclusive     nobody else writes: at once
"""


def add_to(verbs: Verbs[Any]) -> None:
    """Adds the verb to the command line."""
    parser = add_verb(
        verbs,
        "gc",
        telling("gc", _run, of="store"),
        summary="delete garbage",
        description=_DESCRIPTION,
        examples=_EXAMPLES,
    )
    add_store(parser)
    parser.add_argument("--dry-run", action="store_true", help="only say what would be done")
    parser.add_argument("--grace", metavar="AGE", default="24h", help="such as 2h (the least) or 7d (default: 24h)")
    parser.add_argument("--untagged", action="store_true", help="also artifacts that no tag names")
    parser.add_argument("--older-than", metavar="AGE", help="of these only such as are older (default and least: 24h)")
    parser.add_argument("--exclusive", action="store_true", help="nobody else writes to the store: delete at once")


def _run(options: argparse.Namespace) -> int:
    if options.older_than is not None and not options.untagged:
        raise CannotRun("--older-than is for --untagged")
    grace = parse_age(options.grace, "--grace")
    age = None if options.older_than is None else parse_age(options.older_than)
    from fastdatastore.cli.transfers import write_line
    from fastdatastore.errors import ConfigurationError

    with open_store(options) as store, saying() as say:
        try:
            report = store.gc(
                grace=grace,
                untagged=options.untagged,
                older_than=age,
                exclusive=options.exclusive,
                dry_run=options.dry_run,
                progress=say,
            )
        except ConfigurationError as error:
            raise CannotRun(str(error)) from None
    write_line(json.dumps(asdict(report)) if options.json else text(report))
    return 0


def text(report: GcReport) -> str:
    """What a person likes to read."""
    lines = ["nothing was changed; this is what a run would do"] if report.dry_run else []
    lines += [
        f"kept       {amount(report.artifacts, 'artifact')}, {amount(report.chunks, 'chunk')}",
        f"deleted    {amount(report.deleted_artifacts, 'artifact')}, {amount(report.deleted_chunks, 'chunk')}",
        f"condemned  {amount(report.condemned, 'object')}",
    ]
    if report.due_in is not None:
        lines.append(f"a run in {_duration(report.due_in)} deletes what is condemned, if it is garbage still")
    if report.busy:
        lines.append("another run is at work; this one has left it to that")
    return "\n".join(lines)


def amount(what: Amount, name: str) -> str:
    """Such as "2 chunks (3.5 MiB)"."""
    from fastdatastore.bench.sizes import format_size

    return f"{what.count:,} {name}{'' if what.count == 1 else 's'} ({format_size(what.size)})"


def _duration(seconds: float) -> str:
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min"
