"""`fds artifact put`: files as artifacts."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING

from fastdatastore.cli.artifact import files
from fastdatastore.cli.artifact.failures import Failures
from fastdatastore.cli.artifact.stores import add_store, open_store, saying
from fastdatastore.cli.commands import CannotRun
from fastdatastore.cli.connection import Verbs, add_verb
from fastdatastore.cli.telling import telling

if TYPE_CHECKING:
    from typing import Any

    from fastdatastore.errors import FastDatastoreError
    from fastdatastore.store.store import ArtifactStore

_DESCRIPTION = """\
Stores files and prints the ref of each. A file is its bytes, unless --as says
that it is to be stored as the object that it holds: an array, a table, or what
was pickled (which runs the code that the file names). The store is made by the
first put. What is there already is not sent again, if it has 64 KiB or more with
its manifest; what is smaller is written anew, and its age begins again.
"""
_EXAMPLES = """\
  fds artifact put s3://bucket/store weights.bin
  fds artifact put file:///data/store table.parquet --as parquet --tag latest
  tar c results | fds artifact put s3://bucket/store - --tag results
"""


def add_to(verbs: Verbs[Any]) -> None:
    """Adds the verb to the command line."""
    parser = add_verb(
        verbs,
        "put",
        telling("put", _run, of="store"),
        summary="store files as artifacts",
        description=_DESCRIPTION,
        examples=_EXAMPLES,
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
    from fastdatastore.errors import FastDatastoreError
    from fastdatastore.store.tags import check_new

    if options.tag is not None:
        check_new(options.tag)  # before anything is stored
    failures = Failures(options, "put")
    with open_store(options, compression="none" if options.no_compression else "auto") as store:
        for source in options.files:
            try:
                with saying(f"storing {source}"):
                    ref, size = _put(store, source, options)
            except FastDatastoreError as error:
                failures.add(source, error, source=source)
                continue
            untagged = None if options.tag is None else _tag(store, options.tag, ref)
            facts = {"source": source, "ref": ref, "tag": None if untagged else options.tag, "size": size}
            write_line(  # also of what got no tag: it is there
                json.dumps({name: fact for name, fact in facts.items() if fact is not None}) if options.json else ref
            )
            if untagged is not None:
                failures.add(source, untagged, operation="tag", source=source, ref=ref, tag=options.tag)
    return failures.finish(of=len(options.files))


def _put(store: ArtifactStore, source: str, options: argparse.Namespace) -> tuple[str, int | None]:
    """Stores one file; its ref, and how many bytes it has if it is stored as its bytes."""
    value = files.read(source, options.kind)
    return store.put(value, rewrite=options.rewrite), len(value) if options.kind == "raw" else None


def _tag(store: ArtifactStore, name: str, ref: str) -> FastDatastoreError | None:
    """Why the tag is not set, if it is not."""
    from fastdatastore.errors import FastDatastoreError

    try:
        store.tag(name, ref)
    except FastDatastoreError as error:
        return error
    return None
