"""`fds artifact tag`: names for artifacts."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING

from fastdatastore.cli.artifact.stores import add_store, open_store, printable, ref_of
from fastdatastore.cli.commands import CannotRun
from fastdatastore.cli.connection import Verbs, add_verb
from fastdatastore.cli.telling import telling

if TYPE_CHECKING:
    from typing import Any

_DESCRIPTION = """\
Lists tags with what they name; with a NAME shows that one; with a NAME and an
ARTIFACT lets the tag name it.
"""
_EXAMPLES = """\
  fds artifact tag s3://bucket/store
  fds artifact tag s3://bucket/store models/latest b3:9f3c…
  fds artifact tag s3://bucket/store models/latest b3:9f3c… --if b3:77e1…
  fds artifact tag s3://bucket/store models/old --delete
"""


def add_to(verbs: Verbs[Any]) -> None:
    """Adds the verb to the command line."""
    parser = add_verb(
        verbs,
        "tag",
        telling("tag", _run, of="store"),
        summary="set, show, list and delete tags",
        description=_DESCRIPTION,
        examples=_EXAMPLES,
    )
    add_store(parser)
    parser.add_argument("name", nargs="?", metavar="NAME")
    parser.add_argument("artifact", nargs="?", metavar="ARTIFACT", help="ref, or another tag")
    parser.add_argument("--delete", action="store_true", help="delete the tag; what it names stays")
    only = parser.add_mutually_exclusive_group()
    only.add_argument("--if", dest="expected", metavar="REF", help="only if the tag names this now")
    only.add_argument("--new", action="store_true", help="only if there is no such tag")


def _run(options: argparse.Namespace) -> int:
    if options.delete and (options.name is None or options.artifact is not None):
        raise CannotRun("--delete takes the NAME of a tag, and nothing else")
    if (options.expected or options.new) and options.artifact is None:
        raise CannotRun("--if and --new are for setting a tag: give NAME and ARTIFACT")
    from fastdatastore.cli.transfers import write_line
    from fastdatastore.store.tags import ANY

    expected = None if options.new else options.expected or ANY
    with open_store(options) as store:
        if options.delete:
            store.delete_tag(options.name)
            return 0
        if options.artifact is not None:
            ref = ref_of(store, options.artifact)
            store.tag(options.name, ref, expected=expected)
            named = {options.name: ref}
        elif options.name is not None:
            named = {options.name: store.resolve(options.name)}
        else:
            named = store.tags()
        for name, ref in named.items():
            write_line(json.dumps({"tag": name, "ref": ref}) if options.json else f"{ref}  {printable(name)}")
    return 0
