"""`fds artifact ls`: what is in a store."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING

from fastdatastore.cli.artifact.stores import add_store, open_store, printable, tags_by_ref
from fastdatastore.cli.connection import Verbs, add_verb
from fastdatastore.cli.telling import telling

if TYPE_CHECKING:
    from typing import Any

    from fastdatastore.store.listing import ArtifactEntry

_DESCRIPTION = """\
Lists artifacts with the time at which each was stored (local), its ref and its
tags; with -l size and type too, for which each manifest is read.
"""
_EXAMPLES = """\
  fds artifact ls s3://bucket/store
  fds artifact ls -l file:///data/store
"""


def add_to(verbs: Verbs[Any]) -> None:
    """Adds the verb to the command line."""
    parser = add_verb(
        verbs,
        "ls",
        telling("list", _run, of="store"),
        summary="list artifacts",
        description=_DESCRIPTION,
        examples=_EXAMPLES,
    )
    add_store(parser)
    parser.add_argument("-l", "--long", action="store_true", help="size and type, too")
    parser.add_argument("--tagged", action="store_true", help="only those that have a tag")


def _run(options: argparse.Namespace) -> int:
    from fastdatastore.cli.transfers import write_line

    with open_store(options) as store:
        tags = tags_by_ref(store)
        for entry in store.list(details=options.long):
            if options.tagged and entry.ref not in tags:
                continue
            names = tags.get(entry.ref, [])
            write_line(json.dumps(_facts(entry, names)) if options.json else _line(entry, names))
    return 0


def _facts(entry: ArtifactEntry, tags: list[str]) -> dict[str, Any]:
    facts = {
        "ref": entry.ref,
        "created": entry.created.isoformat().replace("+00:00", "Z"),
        "tags": tags,
        "size": entry.size,
        "type": entry.type,
    }
    return {name: value for name, value in facts.items() if value is not None}


def _line(entry: ArtifactEntry, tags: list[str]) -> str:
    from fastdatastore.bench.sizes import format_size

    columns = [f"{entry.created.astimezone():%Y-%m-%d %H:%M:%S}"]
    if entry.size is not None:
        columns += [f"{format_size(entry.size):>9}", f"{printable(entry.type or '?'):<22}"]
    return "  ".join([*columns, entry.ref, *map(printable, tags)])
