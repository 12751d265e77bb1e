"""`fds sync`: makes what is below one place like what is below another."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import TYPE_CHECKING

from fastdatastore.cli.commands import CannotRun
from fastdatastore.cli.connection import Verbs, add_storing, add_verb, connect
from fastdatastore.cli.items import Filter, Item, add_filter, files_below, objects_below
from fastdatastore.cli.places import LocalPlace, Place, S3Place, Stream, parse

if TYPE_CHECKING:
    from typing import Any

    from fastdatastore.cli.transfers import Transfers
    from fastdatastore.engine.client import Client

_DESCRIPTION = """\
Copies files and objects below SOURCE that are missing below TARGET, that have
another size there, or that are newer than there (by the second; a file that
is downloaded gets the time of its object). With --delete what is below TARGET
only is deleted at the end, unless nothing at all was found below SOURCE or it
could not be read. The names below TARGET are kept in memory, about 300 bytes
each.
"""
_EXAMPLES = """\
  fds sync data s3://bucket/data
  fds sync s3://bucket/data data --delete --dry-run
  fds sync s3://bucket/data s3://other/data --exclude '*.tmp'
"""


def add_to(verbs: Verbs[Any]) -> None:
    """Adds the verb to the command line."""
    parser = add_verb(
        verbs,
        "sync",
        _run,
        summary="copy what is new or changed below a directory or prefix",
        description=_DESCRIPTION,
        examples=_EXAMPLES,
    )
    parser.add_argument("source", metavar="SOURCE", help="a directory or s3:// URL")
    parser.add_argument("target", metavar="TARGET", help="a directory or s3:// URL")
    parser.add_argument("--delete", action="store_true", help="delete what is below TARGET and not below SOURCE")
    parser.add_argument("--size-only", action="store_true", help="what has the same size is the same")
    parser.add_argument("--dry-run", action="store_true", help="only say what would be done")
    parser.add_argument("--quiet", action="store_true", help="say nothing but failures")
    add_filter(parser)
    add_storing(parser)


def _run(options: argparse.Namespace) -> int:
    source, target = _directory(options.source), _directory(options.target)
    if isinstance(source, LocalPlace) and isinstance(target, LocalPlace):
        raise CannotRun("the source or the target must be on S3: s3://bucket/prefix")
    if isinstance(source, LocalPlace) and not source.path.is_dir():
        raise CannotRun(f"{source} is no directory")
    if isinstance(target, LocalPlace) and target.path.exists() and not target.path.is_dir():
        raise CannotRun(f"{target} is no directory")
    from fastdatastore.cli.cp import below
    from fastdatastore.cli.jobs import Mover
    from fastdatastore.cli.transfers import Transfers

    client = connect(options)
    transfers = Transfers(client, as_json=options.json, quiet=options.quiet, dry_run=options.dry_run)
    chosen = Filter(options.rules)
    there = _index(client, target, chosen, transfers)
    comparison = _Comparison(there, size_only=options.size_only)
    if not transfers.failed:  # or else it is not known what is there
        changed = comparison.changed(item for item in _items(client, source, transfers) if chosen.takes(item.name))
        transfers.run(below(Mover(client, options), changed, target, Filter(None), transfers))
    if options.delete and there:
        if transfers.failed or not comparison.seen:
            why = "not all could be copied" if transfers.failed else f"nothing was found below {source}"
            transfers.refuse(f"nothing was deleted below {target}, because {why}")
        else:
            _delete(transfers, target, there)
    return transfers.finish()


def _directory(text: str) -> S3Place | LocalPlace:
    place: Place = parse(text)
    if isinstance(place, Stream):
        raise CannotRun("sync takes directories and s3:// URLs; for - there is cp")
    return place.as_directory()


def _items(client: Client, place: S3Place | LocalPlace, transfers: Transfers) -> Iterator[Item]:
    return objects_below(client, place) if isinstance(place, S3Place) else files_below(place, transfers.refuse)


_Index = dict[str, tuple[int, int]]  # name → (size, second)


def _index(client: Client, place: S3Place | LocalPlace, chosen: Filter, transfers: Transfers) -> _Index:
    if isinstance(place, LocalPlace) and not place.path.exists():
        return {}
    found = _items(client, place, transfers)
    return {item.name: (item.size or 0, int(item.modified)) for item in found if chosen.takes(item.name)}


class _Comparison:
    """Which items are to be copied. Takes out of the index what the source has: what remains is the target's only.

    Attributes:
        seen: Items of the source so far.
    """

    def __init__(self, there: _Index, *, size_only: bool) -> None:
        self.seen = 0
        self._there = there
        self._size_only = size_only

    def changed(self, items: Iterator[Item]) -> Iterator[Item]:
        for item in items:
            self.seen += 1
            known = self._there.pop(item.name, None)
            # Servers tell times with and without fractions, so seconds are what can be compared.
            if known is None or known[0] != item.size or (not self._size_only and int(item.modified) > known[1]):
                yield item


def _delete(transfers: Transfers, target: S3Place | LocalPlace, names: _Index) -> None:
    if isinstance(target, S3Place):
        from fastdatastore.cli.rm import deletions

        transfers.run(deletions(target.bucket, (target.key + name for name in names)))
        return
    from fastdatastore.cli.transfers import Action
    from fastdatastore.errors import LocalFileError

    for name in names:
        place = target.below(name)
        action = Action("delete", str(place))
        try:
            if not transfers.dry_run:
                place.path.unlink()
        except OSError as error:
            transfers.fail(action, LocalFileError(f"cannot delete {place}: {error.strerror}"))
        else:
            transfers.succeeded(action)
