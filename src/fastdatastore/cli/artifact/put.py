"""`fds artifact put`: files as artifacts."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING

from fastdatastore.cli.artifact import files
from fastdatastore.cli.artifact.stores import add_store, open_store, saying
from fastdatastore.cli.commands import CannotRun
from fastdatastore.cli.connection import Verbs, add_verb

if TYPE_CHECKING:
    from typing import Any

_DESCRIPTION = """\
Stores files and prints the ref of each. A file is its bytes, unless --as says
that it is to be stored as the object that it holds: an array, a table, or what
was pickled (which runs the code that the file names). The store is made by the
first put. What is there already is not sent again.
"""
_EXAMPLES = """\
  fds artifact put s3://bucket/store weights.bin
  fds artifact put file:///data/store table.parquet --as parquet --tag latest
  tar c results | fds artifact put s3://bucket/store - --tag results
"""


def add_to(verbs: Verbs[Any]) -> None:
    """Adds the verb to the command line."""
    parser = add_verb(
        verbs, "put", _run, summary="store files as artifacts", description=_DESCRIPTION, examples=_EXAMPLES
    )
    add_store(parser)
    parser.add_argument("files", nargs="+", metavar="FILE", help="path, or - for standard input")
    parser.add_argument("--as", dest="kind", choices=files.KINDS, default="raw", help="what the file holds")
    parser.add_argument("--tag", metavar="NAME", help="set this tag to the artifact of the one file")
    parser.add_argument("--rewrite", action="store_true", help="send all of it again: mends what has been damaged")
    parser.add_argument("--no-compression", action="store_true", help="store all chunks as they are")


def _run(options: argparse.Namespace) -> int:
    if options.tag is not None and len(options.files) > 1:
        raise CannotRun("--tag is of one file")
    if options.files.count("-") > 1:
        raise CannotRun("standard input can be read but once")
    from fastdatastore.cli.transfers import write_line

    with open_store(options, compression="none" if options.no_compression else "auto") as store:
        for source in options.files:
            with saying(f"storing {source}"):
                value = files.read(source, options.kind)
                ref = store.put(value, rewrite=options.rewrite)
                if options.tag is not None:
                    store.tag(options.tag, ref)
            facts = {"source": source, "ref": ref, "tag": options.tag}
            if options.kind == "raw":
                facts["size"] = len(value)
            del value
            write_line(
                json.dumps({name: fact for name, fact in facts.items() if fact is not None}) if options.json else ref
            )
    return 0
