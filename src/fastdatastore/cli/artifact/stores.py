"""The store that a command names, and the artifacts in it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from fastdatastore.cli.commands import CannotRun
from fastdatastore.cli.connection import connect

if TYPE_CHECKING:
    from fastdatastore.store.store import ArtifactStore

_LONGEST = 500
_CONNECTION = {"endpoint_url": "--endpoint-url", "region": "--region", "profile": "--profile"}


def add_store(parser: argparse.ArgumentParser) -> None:
    """The argument that names it."""
    parser.add_argument("store", metavar="STORE", help="s3://BUCKET/PREFIX or file:///DIRECTORY")


def open_store(options: argparse.Namespace, **how: Any) -> ArtifactStore:
    """The store that a verb's options name.

    Raises:
        CannotRun: They name none.
    """
    from fastdatastore.errors import ConfigurationError
    from fastdatastore.store.store import ArtifactStore

    url: str = options.store
    if url.lower().startswith("s3://"):
        how["client"] = connect(options)
    elif said := [flag for name, flag in _CONNECTION.items() if getattr(options, name)]:
        raise CannotRun(f"{', '.join(said)}: for s3:// URLs; {url!r} is none")
    try:
        return ArtifactStore(url, **how)
    except ConfigurationError as error:
        raise CannotRun(str(error)) from None


def ref_of(store: ArtifactStore, name: str) -> str:
    """The ref that a user means by a ref or a tag.

    Raises:
        InvalidRef, TagNotFound, InvalidKey: It is neither.
    """
    from fastdatastore.store import ref

    if name.startswith(ref.PREFIX):
        ref.digest_of(name)
        return name
    return store.resolve(name)


def tags_by_ref(store: ArtifactStore) -> dict[str, list[str]]:
    """The tags of each artifact that has some; none if one is damaged, which is said."""
    from fastdatastore.errors import FormatError

    found: dict[str, list[str]] = {}
    try:
        for name, ref in store.tags().items():
            found.setdefault(ref, []).append(name)
    except FormatError as error:
        complain("tags are not shown", error)
    return found


def printable(text: str) -> str:
    """What whoever writes to the store has chosen, such as tags and columns: nothing of it may steer the terminal."""
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text[:_LONGEST])
    return shown if len(text) <= _LONGEST else f"{shown}…"


@contextmanager
def saying(what: str = "") -> Iterator[Callable[[str], None]]:
    """Shows on the terminal what is being done; gives what says the next step."""
    from fastdatastore.progress.line import LiveLine
    from fastdatastore.progress.terminal import Terminal

    line = LiveLine(Terminal.of(sys.stderr))
    try:
        if what:
            line.say(what)
        yield line.say
    finally:
        line.clear()


def complain(subject: str, error: Exception) -> None:
    """Says on stderr what has failed; a command that does several things goes on."""
    for line in (f"{subject}: {error}", *getattr(error, "__notes__", ())):
        print(f"fds: {line}", file=sys.stderr, flush=True)
