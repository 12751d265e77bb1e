"""`fds artifact rm`: deletes artifacts."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING

from fastdatastore.cli.artifact.failures import Failures
from fastdatastore.cli.artifact.stores import add_store, open_store
from fastdatastore.cli.connection import Verbs, add_verb
from fastdatastore.cli.telling import telling

if TYPE_CHECKING:
    from typing import Any

_DESCRIPTION = """\
Deletes artifacts by their refs; that one is not there is no failure. One that a
tag names is kept, unless --force says otherwise (for tags see fds artifact tag
--delete). The space comes back when gc has collected what no other artifact has.
"""


def add_to(verbs: Verbs[Any]) -> None:
    """Adds the verb to the command line."""
    parser = add_verb(
        verbs,
        "rm",
        telling("delete", _run, of="store"),
        summary="delete artifacts",
        description=_DESCRIPTION,
        examples="  fds artifact rm s3://bucket/store b3:9f3c…\n",
    )
    add_store(parser)
    parser.add_argument("refs", nargs="+", metavar="REF")
    parser.add_argument("--force", action="store_true", help="also what a tag names")


def _run(options: argparse.Namespace) -> int:
    from fastdatastore.cli.transfers import write_line
    from fastdatastore.errors import FastDatastoreError

    failures = Failures(options, "delete")
    with open_store(options) as store:
        for ref in options.refs:
            try:
                store.delete(ref, force=options.force)
            except FastDatastoreError as error:
                failures.add(ref, error, ref=ref)
            else:
                write_line(json.dumps({"operation": "delete", "ref": ref}) if options.json else f"delete: {ref}")
    return failures.finish(of=len(options.refs))
