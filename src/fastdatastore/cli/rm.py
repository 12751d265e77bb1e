"""`fds rm`: deletes objects."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING

from fastdatastore.cli.commands import CannotRun
from fastdatastore.cli.connection import Verbs, add_verb, connect
from fastdatastore.cli.items import Filter, add_filter, entries
from fastdatastore.cli.places import S3Place, glob, has_wildcard, parse_s3

if TYPE_CHECKING:
    from typing import Any

    from fastdatastore.cli.transfers import Action
    from fastdatastore.engine.client import Client
    from fastdatastore.engine.job import Job

_DESCRIPTION = """\
Deletes objects, 1,000 by a request; that one is not there is no failure. In a
bucket that keeps versions they are hidden, and --version-id deletes for good.
"""
_EXAMPLES = """\
  fds rm s3://bucket/run/7/model.bin s3://bucket/note
  fds rm --recursive s3://bucket/run/7         what is below run/7/
  fds rm 's3://bucket/data/*.tmp' --dry-run
"""


def add_to(verbs: Verbs[Any]) -> None:
    """Adds the verb to the command line."""
    parser = add_verb(verbs, "rm", _run, summary="delete objects", description=_DESCRIPTION, examples=_EXAMPLES)
    parser.add_argument("urls", nargs="+", metavar="s3://BUCKET/KEY")
    parser.add_argument("-r", "--recursive", action="store_true", help="all that is below the URL")
    parser.add_argument("--dry-run", action="store_true", help="only say what would be deleted")
    parser.add_argument("--quiet", action="store_true", help="say nothing but failures")
    parser.add_argument("--raw", action="store_true", help="* and ? stand for themselves")
    parser.add_argument("--version-id", metavar="ID", default="", help="of the one object")
    add_filter(parser)


def _run(options: argparse.Namespace) -> int:
    places = [parse_s3(url) for url in options.urls]
    many = options.recursive or any(_is_glob(options, place) for place in places)
    for place in places:
        if place.is_directory and not options.recursive and not _is_glob(options, place):
            raise CannotRun(f"{place} is no object; for all that is below it add --recursive")
        if options.recursive and _is_glob(options, place):
            raise CannotRun("give a wildcard or --recursive, not both; a * matches / too")
    if options.version_id and (many or len(places) > 1):
        raise CannotRun("--version-id is of one object")
    if options.rules and not many:
        raise CannotRun("--include and --exclude are for --recursive and for wildcards")
    from fastdatastore.cli.transfers import Action, Transfers
    from fastdatastore.engine.delete import DeleteJob

    client = connect(options)
    transfers = Transfers(client, as_json=options.json, quiet=options.quiet, dry_run=options.dry_run)
    if many:
        for place in places:
            transfers.run(deletions(place.bucket, _keys(client, options, place)))
    else:
        transfers.run(
            (Action("delete", str(place)), partial(DeleteJob, place.bucket, place.key, options.version_id))
            for place in places
        )
    return transfers.finish()


def _is_glob(options: argparse.Namespace, place: S3Place) -> bool:
    return not options.raw and has_wildcard(place)


def _keys(client: Client, options: argparse.Namespace, place: S3Place) -> Iterator[str]:
    chosen = Filter(options.rules)
    if options.recursive:
        directory, wanted = place.as_directory(), None
    elif _is_glob(options, place):
        directory, wanted = glob(place)
    else:
        yield place.key
        return
    for entry in entries(client, directory, recursive=True):
        name = entry.key[len(directory.key) :]
        if (wanted is None or wanted.fullmatch(name)) and chosen.takes(name):
            yield entry.key


def deletions(bucket: str, keys: Iterable[str]) -> Iterator[tuple[tuple[Action, ...], Callable[[], Job]]]:
    """The work that deletes these objects, 1,000 by a request, drawn as there is room."""
    from fastdatastore.cli.transfers import Action
    from fastdatastore.engine import delete

    for job in delete.deletions(bucket, keys):
        named = job.keys if isinstance(job, delete.DeleteManyJob) else [job.key]
        yield tuple(Action("delete", f"s3://{bucket}/{key}", key=key) for key in named), partial(_itself, job)


def _itself(job: Job) -> Job:
    return job
