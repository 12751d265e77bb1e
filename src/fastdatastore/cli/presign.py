"""`fds presign`: a URL for somebody without credentials."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING

from fastdatastore.cli.commands import CannotRun
from fastdatastore.cli.connection import Verbs, add_verb, connect
from fastdatastore.cli.places import parse_object

if TYPE_CHECKING:
    from typing import Any


def add_to(verbs: Verbs[Any]) -> None:
    """Adds the verb to the command line."""
    parser = add_verb(
        verbs,
        "presign",
        _run,
        summary="make a URL by which anybody can read (or store) one object",
        description="Makes a URL by which anybody can read one object, or with --method PUT store it.",
        examples="  fds presign s3://bucket/report.html --expires-in 86400\n",
    )
    parser.add_argument("url", metavar="s3://BUCKET/KEY")
    parser.add_argument("--expires-in", type=int, default=3600, metavar="SECONDS", help="1 to 604800 (default: 3600)")
    parser.add_argument("--method", choices=("GET", "PUT"), default="GET")
    parser.add_argument("--version-id", metavar="ID", help="for GET")


def _run(options: argparse.Namespace) -> int:
    parse_object(options.url)
    from fastdatastore.errors import ConfigurationError
    from fastdatastore.s3.client import S3

    client = connect(options)
    try:
        url = S3(client=client).presign(
            options.url, expires=options.expires_in, method=options.method, version_id=options.version_id
        )
    except ConfigurationError as error:
        raise CannotRun(str(error)) from None
    print(json.dumps({"url": url}) if options.json else url)
    return 0
