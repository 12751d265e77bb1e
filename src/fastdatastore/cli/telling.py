"""What has failed, as --json says it on stdout."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from typing import Any


def write_failure(error: object, **facts: Any) -> None:
    """One line; `facts` say what it was of, as far as they are not None."""
    from fastdatastore.cli.transfers import write_line

    known = {name: value for name, value in facts.items() if value is not None}
    write_line(json.dumps(known | {"success": False, "error": str(error)}))


def telling(
    operation: str, run: Callable[[argparse.Namespace], int], *, of: str
) -> Callable[[argparse.Namespace], int]:
    """What runs a verb; with --json it says on stdout, too, why the whole of it has failed.

    Args:
        of: The argument that names what it works on.
    """

    def run_and_tell(options: argparse.Namespace) -> int:
        from fastdatastore.errors import FastDatastoreError

        try:
            return run(options)
        except FastDatastoreError as error:
            if options.json:
                write_failure(error, operation=operation, **{of: getattr(options, of)})
            raise

    return run_and_tell
