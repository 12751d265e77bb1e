"""What is at a place: files below a directory, objects below a prefix, drawn as they are needed."""

from __future__ import annotations

import argparse
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fastdatastore.cli.places import LocalPlace, S3Place, pattern

if TYPE_CHECKING:
    from fastdatastore.engine.client import Client
    from fastdatastore.engine.listing import Entry


@dataclass(frozen=True, slots=True)
class Item:
    """A file or an object.

    Attributes:
        name: Relative to where it was looked for, with "/" between its pieces.
        size: Bytes; None if nobody looked. modified: seconds since 1970.
    """

    name: str
    place: S3Place | LocalPlace
    size: int | None
    modified: float = 0.0


def entries(client: Client, place: S3Place, *, recursive: bool) -> Iterator[Entry]:
    """What begins with the place's key. One page is in memory at a time."""
    from fastdatastore.engine.listing import ListJob
    from fastdatastore.errors import ProtocolError

    page: str | None = ""
    while page is not None:
        job = client.run_one(ListJob(place.bucket, place.key, recursive=recursive, page=page))
        yield from job.entries
        if page == job.next_page:
            raise ProtocolError("the listing goes on but names no new page", bucket=place.bucket)
        page = job.next_page


def objects_below(client: Client, directory: S3Place) -> Iterator[Item]:
    """All objects below a prefix; empty ones that stand for directories are left out."""
    for entry in entries(client, directory.as_directory(), recursive=True):
        name = entry.key[len(directory.as_directory().key) :]
        if name and not (name.endswith("/") and not entry.size):
            yield Item(name, S3Place(directory.bucket, entry.key), entry.size or 0, entry.last_modified or 0.0)


def files_below(directory: LocalPlace, on_error: Callable[[str], None]) -> Iterator[Item]:
    """All regular files below a directory, by symbolic links too; what cannot be read is told and left out."""
    yield from _walk(directory.text, "", frozenset(), on_error)


def _walk(
    directory: str, prefix: str, above: frozenset[tuple[int, int]], on_error: Callable[[str], None]
) -> Iterator[Item]:
    # Entries are taken as they come: a directory may hold millions.
    try:
        status = Path(directory).stat()
        here = (status.st_dev, status.st_ino)
        if here in above:
            on_error(f"cannot read {directory}: a symbolic link leads back to a directory above it")
            return
        with os.scandir(directory) as found:
            for entry in found:
                yield from _walk_entry(entry, prefix, above | {here}, on_error)
    except OSError as error:
        on_error(f"cannot read {directory}: {error.strerror}")


def _walk_entry(
    entry: os.DirEntry[str], prefix: str, above: frozenset[tuple[int, int]], on_error: Callable[[str], None]
) -> Iterator[Item]:
    try:
        status = entry.stat()
    except OSError as error:
        on_error(f"cannot read {entry.path}: {error.strerror}")
        return
    if stat.S_ISDIR(status.st_mode):
        yield from _walk(entry.path, f"{prefix}{entry.name}/", above, on_error)
    elif stat.S_ISREG(status.st_mode):
        yield Item(prefix + entry.name, LocalPlace(entry.path), status.st_size, status.st_mtime)


class Filter:
    """--include and --exclude, as in the AWS CLI: of all patterns that match a name the last one decides."""

    def __init__(self, rules: list[tuple[bool, str]] | None) -> None:
        self._rules = [(keep, pattern(text)) for keep, text in rules or ()]

    def takes(self, name: str) -> bool:
        verdict = True
        for keep, wanted in self._rules:
            if wanted.fullmatch(name):
                verdict = keep
        return verdict


class _Rule(argparse.Action):
    """Keeps --include and --exclude in the order in which they were given."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: object,
        option_string: str | None = None,
    ) -> None:
        rules = [*(namespace.rules or ()), (option_string == "--include", values)]
        namespace.rules = rules


def add_filter(parser: argparse.ArgumentParser) -> None:
    """The options that a Filter is made of: `rules`."""
    which = parser.add_argument_group("which of them")
    text = "names below the source that match (* and ?); the last option that matches a name decides"
    which.add_argument("--exclude", dest="rules", action=_Rule, metavar="PATTERN", help=f"leave out {text}")
    which.add_argument("--include", dest="rules", action=_Rule, metavar="PATTERN", help=f"take {text}")
