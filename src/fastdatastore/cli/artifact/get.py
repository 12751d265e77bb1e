"""`fds artifact get`: an artifact as a file."""

from __future__ import annotations

import argparse
import json
import os
import secrets
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from fastdatastore.cli.artifact import files
from fastdatastore.cli.artifact.stores import add_store, open_store, ref_of, saying
from fastdatastore.cli.connection import Verbs, add_verb
from fastdatastore.cli.telling import telling

if TYPE_CHECKING:
    from typing import Any

_DESCRIPTION = """\
Writes an artifact to a file or to standard output, verified. Bytes are written
as they are; arrays and tables as the target's name says (.npy, .parquet,
.arrow), or as --as does.

An artifact that was pickled can run any code of its writer's when it is read:
it is refused without --allow-pickle.
"""
_EXAMPLES = """\
  fds artifact get s3://bucket/store latest table.parquet
  fds artifact get s3://bucket/store b3:9f3c… - | tar x
"""


def add_to(verbs: Verbs[Any]) -> None:
    """Adds the verb to the command line."""
    parser = add_verb(
        verbs,
        "get",
        telling("get", _run, of="store"),
        summary="write an artifact to a file",
        description=_DESCRIPTION,
        examples=_EXAMPLES,
    )
    add_store(parser)
    parser.add_argument("artifact", metavar="ARTIFACT", help="ref or tag")
    parser.add_argument("target", metavar="FILE", help="path, or - for standard output")
    parser.add_argument("--as", dest="kind", choices=files.KINDS, help="what to write")
    parser.add_argument("--allow-pickle", action="store_true", help="trust whoever can write to the store")


def _run(options: argparse.Namespace) -> int:
    from fastdatastore.cli.transfers import write_line
    from fastdatastore.errors import UntrustedPickle

    with open_store(options) as store:
        ref = ref_of(store, options.artifact)
        try:
            with saying(f"fetching {options.artifact}"):
                value = store.get(ref, allow_pickle=options.allow_pickle, readonly=True)
        except UntrustedPickle as error:
            raise UntrustedPickle(f"{error}, or --allow-pickle here") from None
    write = files.writer_of(value, options.kind, options.target)
    if options.target == "-":
        write(sys.stdout.buffer)
        sys.stdout.buffer.flush()
        return 0
    _write_whole(options.target, write)
    if options.json:
        write_line(json.dumps({"ref": ref, "target": options.target}))
    return 0


def _write_whole(target: str, write: Callable[[BinaryIO], None]) -> None:
    """The file appears under its name when it is whole."""
    from fastdatastore.errors import LocalFileError

    path = Path(os.path.realpath(target))
    partial = path.with_name(f".{path.name[:200]}.{secrets.token_hex(6)}.part")
    try:
        try:
            with partial.open("xb") as file:
                write(file)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise LocalFileError(f"cannot write {target}: {error.strerror}") from error
