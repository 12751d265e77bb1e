"""`fds`: where the command line begins and where it ends, with an exit code.

Only what is needed to catch Ctrl-C is imported here: the rest comes when that works already.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import suppress

from fastdatastore.cli import signals

EXIT_FAILED = 1
EXIT_USAGE = 2


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command.

    Args:
        argv: The arguments without the program's name; None takes this process's.

    Returns:
        0: done; 1: failed, with one line on stderr that says why; 2: the command cannot be run as it was typed, or
        not on this machine; 130, 143, …: stopped by that signal.
    """
    try:
        with signals.raised(until_exit=argv is None):
            return _run(sys.argv[1:] if argv is None else argv)
    except signals.Stopped as stopped:
        _say("interrupted")
        return stopped.exit_code


def _run(argv: Sequence[str]) -> int:
    from fastdatastore.cli import commands
    from fastdatastore.errors import FastDatastoreError

    try:
        return commands.run(argv)
    except SystemExit as ended:  # argparse's way: 0 after --help, 2 after a bad option
        return ended.code if isinstance(ended.code, int) else EXIT_USAGE
    except commands.CannotRun as error:
        _say(f"fds: {error}")
        return EXIT_USAGE
    except FastDatastoreError as error:
        for line in (error, *getattr(error, "__notes__", ())):
            _say(f"fds: {line}")
    except MemoryError:
        _say("fds: out of memory; choose a smaller size")
    except BrokenPipeError:
        # Whoever read our output has gone. The interpreter would complain when it flushes stdout at its end.
        with suppress(OSError, ValueError):
            sys.stdout.close()
    return EXIT_FAILED


def _say(text: str) -> None:
    with suppress(OSError, ValueError):  # the terminal may be closed
        print(text, file=sys.stderr, flush=True)
