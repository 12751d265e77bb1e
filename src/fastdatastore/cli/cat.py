"""`fds cat`: objects to standard output."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from fastdatastore.cli.connection import Verbs, add_verb, connect
from fastdatastore.cli.places import add_objects, objects_of

if TYPE_CHECKING:
    from typing import Any


def add_to(verbs: Verbs[Any]) -> None:
    """Adds the verb to the command line."""
    parser = add_verb(
        verbs,
        "cat",
        _run,
        summary="write objects to standard output",
        description="Writes objects to standard output, one after another.",
        examples="  fds cat s3://bucket/data.csv.gz | gunzip | head\n",
    )
    add_objects(parser)


def _run(options: argparse.Namespace) -> int:
    places = objects_of(options)
    from fastdatastore.cli.streams import to_stdout

    client = connect(options)
    for place in places:
        to_stdout(client, place, options.version_id)
    return 0
