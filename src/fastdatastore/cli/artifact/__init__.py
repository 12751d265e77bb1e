"""`fds artifact`: Python objects in an artifact store; one file per verb."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

    from fastdatastore.cli.connection import Verbs

_DESCRIPTION = """\
Puts files and objects into an artifact store, gets them out again, and looks
after the store. A STORE is a URL: s3://BUCKET/PREFIX or file:///DIRECTORY.
An ARTIFACT is named by its ref (b3:…) or by a tag.
"""


def add_to(verbs: Verbs[Any]) -> None:
    """Adds the verbs to the command line."""
    from fastdatastore.cli.artifact import gc, get, ls, put, rm, stat, tag, verify

    parser: argparse.ArgumentParser = verbs.add_parser(
        "artifact",
        help="put, get and look after artifacts: objects by their digest",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )

    def show_help(_options: argparse.Namespace) -> int:
        parser.print_help(sys.stderr)
        return 2

    parser.set_defaults(run=show_help)
    below = parser.add_subparsers(metavar="VERB", parser_class=type(parser), title="verbs")
    for verb in (put, get, ls, stat, tag, rm, verify, gc):
        verb.add_to(below)
