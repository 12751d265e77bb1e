"""`fds ls`: buckets, and what is in them."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from fastdatastore.cli.connection import Verbs, add_verb, connect
from fastdatastore.cli.places import S3Place, glob, has_wildcard, parse_s3
from fastdatastore.cli.telling import telling

if TYPE_CHECKING:
    from typing import Any

    from fastdatastore.engine.client import Client
    from fastdatastore.engine.listing import Entry

_DESCRIPTION = """\
Lists all buckets, or the objects and prefixes (PRE) one level below a URL. As
in the AWS CLI a URL without a / at its end stands for all that begins so, and
times are local. * stands for any characters (/ included) and ? for one.
"""


def add_to(verbs: Verbs[Any]) -> None:
    """Adds the verb to the command line."""
    parser = add_verb(
        verbs,
        "ls",
        telling("list", _run, of="url"),
        summary="list buckets and objects",
        description=_DESCRIPTION,
        examples="  fds ls\n  fds ls s3://bucket/data/\n  fds ls -r --human-readable --summarize s3://bucket\n",
    )
    parser.add_argument("url", nargs="?", metavar="s3://BUCKET[/PREFIX]")
    parser.add_argument("-r", "--recursive", action="store_true", help="all objects, by their whole keys")
    parser.add_argument("--human-readable", action="store_true", help="sizes such as 1.5 MiB")
    parser.add_argument("--summarize", action="store_true", help="count objects and bytes at the end")
    parser.add_argument("--raw", action="store_true", help="* and ? stand for themselves")


def _run(options: argparse.Namespace) -> int:
    place = None if options.url is None else parse_s3(options.url)
    client = connect(options)
    from fastdatastore.cli.transfers import write_line

    if place is None:
        _list_buckets(client, options, write_line)
        return 0
    count = size = found = 0
    cut = 0 if options.recursive or _is_glob(options, place) else len(place.key) - len(place.name)
    for entry in _entries(client, options, place):
        found += 1
        if not entry.is_prefix:
            count += 1
            size += entry.size or 0
        write_line(_facts(place, entry) if options.json else _line(options, entry, entry.key[cut:]))
    if options.summarize and not options.json:
        write_line(f"\nTotal Objects: {count}\n   Total Size: {_size(options, size).strip()}")
    # That an empty bucket is empty is no failure; that nothing begins as it was said is one.
    return 0 if found or not place.key else 1


def _is_glob(options: argparse.Namespace, place: S3Place) -> bool:
    return not options.raw and has_wildcard(place)


def _entries(client: Client, options: argparse.Namespace, place: S3Place) -> Iterator[Entry]:
    from fastdatastore.cli.items import entries

    if not _is_glob(options, place):
        return entries(client, place, recursive=options.recursive)
    directory, wanted = glob(place)
    cut = len(directory.key)
    return (e for e in entries(client, directory, recursive=True) if wanted.fullmatch(e.key[cut:]))


def _list_buckets(client: Client, options: argparse.Namespace, write: Callable[[str], None]) -> None:
    from fastdatastore.engine.buckets import ListBucketsJob

    for name, made in client.run_one(ListBucketsJob()).buckets:
        if options.json:
            write(json.dumps({"bucket": name, "created": _iso(made)}))
        else:
            write(f"{_local_time(made)} {name}")


def _line(options: argparse.Namespace, entry: Entry, name: str) -> str:
    if entry.is_prefix:
        return f"{'PRE':>30} {name}"
    return f"{_local_time(entry.last_modified)} {_size(options, entry.size or 0)} {name}"


def _size(options: argparse.Namespace, size: int) -> str:
    from fastdatastore.bench.sizes import format_size

    return f"{format_size(size) if options.human_readable else size:>10}"


def _facts(place: S3Place, entry: Entry) -> str:
    if entry.is_prefix:
        return json.dumps({"bucket": place.bucket, "prefix": entry.key})
    facts = {"bucket": place.bucket, "key": entry.key, "size": entry.size, "modified": _iso(entry.last_modified)}
    return json.dumps(facts)


def _local_time(seconds: float | None) -> str:
    return " " * 19 if seconds is None else f"{datetime.fromtimestamp(seconds):%Y-%m-%d %H:%M:%S}"


def _iso(seconds: float | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")
