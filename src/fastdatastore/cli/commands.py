"""The tree of commands and what parses it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import NoReturn

from fastdatastore import __version__


class CannotRun(Exception):
    """The command cannot be run as it was typed, or not on this machine; the message says what mends it."""


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line instead of after the whole usage."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help\n")


def make_parser() -> Parser:
    from fastdatastore.cli import artifact, bench, cat, cp, ls, presign, rm, stat, sweep, sync

    parser = Parser(
        prog="fds",
        description="Moves big results of machine-learning steps to and from S3 object stores, verified.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"fds {__version__}")
    verbs = parser.add_subparsers(metavar="COMMAND", parser_class=Parser, title="commands")
    for verb in (ls, cp, cat, rm, stat, sync, presign, sweep, artifact, bench):
        verb.add_to(verbs)
    return parser


def run(argv: Sequence[str]) -> int:
    """Runs the command that `argv` says; returns the exit code.

    Raises:
        CannotRun, SystemExit, FastDatastoreError: As in `main`, which turns them into messages and exit codes.
    """
    parser = make_parser()
    options = parser.parse_args(argv)
    if not hasattr(options, "run"):
        parser.print_help(sys.stderr)
        return 2
    code: int = options.run(options)
    return code
