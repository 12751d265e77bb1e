"""What of a command on artifacts has failed: named on stderr, counted, and with --json told on stdout, too."""

from __future__ import annotations

import argparse
import sys

from fastdatastore.cli.artifact.stores import complain
from fastdatastore.cli.telling import write_failure


class Failures:
    """Of a command that does several things: one that fails stops no other.

    Args:
        operation: What is done to each of them.

    Attributes:
        count: How many there are so far.
    """

    def __init__(self, options: argparse.Namespace, operation: str) -> None:
        self.count = 0
        self._as_json: bool = options.json
        self._operation = operation

    def add(self, subject: str, error: Exception, *, operation: str = "", **facts: str) -> None:
        """Counts it and says so.

        Args:
            subject: What it concerns, for a person; `facts` say so for --json.
            operation: Where it is another one.

        Raises:
            Exception: `error`, if all the rest would fail in the same way.
        """
        from fastdatastore.cli.transfers import HOPELESS

        if isinstance(error, HOPELESS):
            raise error
        self.count += 1
        if self._as_json:
            write_failure(error, operation=operation or self._operation, **facts)
        complain(subject, error)

    def finish(self, of: int) -> int:
        """Says how many of all have failed, and returns the exit code."""
        if self.count:
            print(f"fds: {self.count:,} of {of:,} failed", file=sys.stderr, flush=True)
        return 1 if self.count else 0
