"""`fds cp`, `fds get`, `fds put`: files and objects from one place to another."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from fastdatastore.cli.commands import CannotRun
from fastdatastore.cli.connection import Verbs, add_storing, add_verb, connect
from fastdatastore.cli.items import Filter, Item, add_filter, files_below, objects_below
from fastdatastore.cli.places import LocalPlace, Place, S3Place, Stream, glob, has_wildcard, parse

if TYPE_CHECKING:
    from typing import Any

    from fastdatastore.cli.jobs import Mover, Work
    from fastdatastore.cli.transfers import Transfers
    from fastdatastore.engine.client import Client

_DESCRIPTION = """\
Copies files to S3, objects to files, and objects to other places in S3 (the
bytes stay at the server then). Every download is verified against the
object's checksum, and appears when it is whole.

A target that ends in /, a bucket or a directory keeps the names; any other is
the new name. With --recursive what is below the source comes below the
target. In a source on S3 * stands for any characters (/ included) and ? for
one; what the * is below is kept. - is standard input or output.
"""
_EXAMPLES = """\
  fds cp model.bin s3://bucket/run/7/          as s3://bucket/run/7/model.bin
  fds cp s3://bucket/run/7/model.bin new.bin
  fds cp --recursive data s3://bucket/data     data/a/b as s3://bucket/data/a/b
  fds cp 's3://bucket/data/*.csv' here/
  fds cp -r s3://bucket/data s3://other/data --exclude '*.tmp'
  tar c data | fds cp - s3://bucket/data.tar
"""


def add_to(verbs: Verbs[Any]) -> None:
    """Adds the verbs to the command line."""
    parser = add_verb(
        verbs,
        "cp",
        _run_cp,
        summary="copy files and objects: up, down, or within S3",
        description=_DESCRIPTION,
        examples=_EXAMPLES,
    )
    parser.add_argument("sources", nargs="+", metavar="SOURCE", help="paths or s3:// URLs, or - (standard input)")
    parser.add_argument("target", metavar="TARGET", help="a path or s3:// URL, or - (standard output)")
    _add_options(parser)

    parser = add_verb(
        verbs,
        "get",
        _run_get,
        summary="download objects; like cp, with the working directory as the usual target",
        description=_DESCRIPTION,
        examples="  fds get s3://bucket/run/7/model.bin\n  fds get 's3://bucket/data/*.csv' here/\n",
    )
    parser.add_argument("source", metavar="s3://BUCKET/KEY")
    parser.add_argument("target", nargs="?", default=".", metavar="TARGET", help="a path, or - (default: .)")
    _add_options(parser)

    parser = add_verb(
        verbs,
        "put",
        _run_put,
        summary="upload files; like cp, with a target on S3",
        description=_DESCRIPTION,
        examples="  fds put model.bin s3://bucket/run/7/\n  fds put *.csv s3://bucket/data/\n",
    )
    parser.add_argument("sources", nargs="+", metavar="SOURCE", help="paths, or - (standard input)")
    parser.add_argument("target", metavar="s3://BUCKET/KEY")
    _add_options(parser)


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-r", "--recursive", action="store_true", help="all that is below the source")
    parser.add_argument("--dry-run", action="store_true", help="only say what would be done")
    parser.add_argument("--quiet", action="store_true", help="say nothing but failures")
    parser.add_argument("--raw", action="store_true", help="* and ? in a source's key stand for themselves")
    parser.add_argument("--version-id", metavar="ID", default="", help="of the one object that is read")
    add_filter(parser)
    add_storing(parser)


def _run_get(options: argparse.Namespace) -> int:
    if not options.source.startswith("s3://"):
        raise CannotRun(f"get downloads s3:// URLs, got {options.source!r}; put uploads")
    if options.target.startswith("s3://"):
        raise CannotRun(f"get downloads to paths, got {options.target!r}; cp copies within S3")
    options.sources = [options.source]
    return _run_cp(options)


def _run_put(options: argparse.Namespace) -> int:
    if not options.target.startswith("s3://"):
        raise CannotRun(f"put uploads to s3:// URLs, got {options.target!r}; get downloads")
    if found := [source for source in options.sources if source.startswith("s3://")]:
        raise CannotRun(f"put uploads files, got {found[0]!r}; cp copies within S3")
    return _run_cp(options)


def _run_cp(options: argparse.Namespace) -> int:
    sources, target = [parse(source) for source in options.sources], parse(options.target)
    _check(options, sources, target)
    from fastdatastore.cli import streams
    from fastdatastore.cli.jobs import Mover
    from fastdatastore.cli.transfers import Transfers

    client = connect(options)
    if isinstance(target, Stream):
        assert isinstance(sources[0], S3Place)
        streams.to_stdout(client, sources[0], options.version_id)
        return 0
    transfers = Transfers(client, as_json=options.json, quiet=options.quiet, dry_run=options.dry_run)
    mover = Mover(client, options)
    if isinstance(sources[0], Stream):
        assert isinstance(target, S3Place)
        transfers.run([streams.from_stdin(client, target, mover.headers(target.name))])
    else:
        transfers.run(_work(client, mover, options, sources, target, transfers))
        if not transfers.done and not transfers.failed:
            transfers.failed += 1
            transfers.warn(f"nothing that is wanted was found at {', '.join(map(str, sources))}")
            return 1
    return transfers.finish()


def _check(options: argparse.Namespace, sources: list[Place], target: Place) -> None:
    many = options.recursive or len(sources) > 1 or any(_is_glob(options, source) for source in sources)
    streams = [place for place in (*sources, target) if isinstance(place, Stream)]
    if streams and (many or len(streams) > 1):
        raise CannotRun("- is one source or the target, and stands for one object")
    if isinstance(target, Stream) and not isinstance(sources[0], S3Place):
        raise CannotRun("only an object on S3 can be copied to standard output")
    if isinstance(target, Stream) and options.dry_run:
        raise CannotRun("--dry-run says what would be done on standard output, which is the target")
    if isinstance(target, LocalPlace) and not all(isinstance(source, S3Place) for source in sources):
        raise CannotRun("the source or the target must be on S3: s3://bucket/key")
    if isinstance(sources[0], Stream) and target.is_directory:
        raise CannotRun(f"name the object that standard input becomes: {target} ends in /")
    if options.recursive and len(sources) > 1:
        raise CannotRun("--recursive takes one source")
    if options.rules and not many:
        raise CannotRun("--include and --exclude are for --recursive and for wildcards")
    if options.version_id and (many or not isinstance(sources[0], S3Place)):
        raise CannotRun("--version-id is of one object that is read")
    if many and not options.recursive and isinstance(target, S3Place) and not target.is_directory:
        raise CannotRun(f"several sources need a target that ends in /, got {target}")
    if many and isinstance(target, LocalPlace) and target.path.exists() and not target.path.is_dir():
        raise CannotRun(f"several sources need a directory as target, got the file {target}")
    for source in sources:
        _check_source(options, source)


def _check_source(options: argparse.Namespace, source: Place) -> None:
    if isinstance(source, S3Place):
        if source.is_directory and not options.recursive:
            raise CannotRun(f"{source} is no object; for all that is below it add --recursive")
        if options.recursive and _is_glob(options, source):
            raise CannotRun("give a wildcard or --recursive, not both; a * matches / too")
    elif isinstance(source, LocalPlace) and source.path.is_dir() is not options.recursive and source.path.exists():
        wrong = "a file; leave out --recursive" if options.recursive else "a directory; add --recursive"
        raise CannotRun(f"{source} is {wrong}")


def _is_glob(options: argparse.Namespace, place: Place) -> bool:
    return not options.raw and has_wildcard(place)


def _work(
    client: Client,
    mover: Mover,
    options: argparse.Namespace,
    sources: list[Place],
    target: S3Place | LocalPlace,
    transfers: Transfers,
) -> Iterator[Work]:
    for source in sources:
        assert not isinstance(source, Stream)
        if options.recursive:
            yield from below(mover, _found(client, source, transfers), target, Filter(options.rules), transfers)
        elif _is_glob(options, source):
            assert isinstance(source, S3Place)
            directory, wanted = glob(source)
            items = _matching(client, directory, wanted)
            yield from below(mover, items, target, Filter(options.rules), transfers)
        elif len(sources) == 1 and not target.is_directory:
            yield mover.move(source, target, version=options.version_id)
        else:
            one = iter([Item(source.name, source, None)])
            yield from below(mover, one, target, Filter(None), transfers, options.version_id)


def _matching(client: Client, directory: S3Place, wanted: re.Pattern[str]) -> Iterator[Item]:
    return (item for item in objects_below(client, directory) if wanted.fullmatch(item.name))


def _found(client: Client, source: S3Place | LocalPlace, transfers: Transfers) -> Iterator[Item]:
    if isinstance(source, S3Place):
        return objects_below(client, source)
    return files_below(source, transfers.refuse)


def below(
    mover: Mover,
    items: Iterator[Item],
    target: S3Place | LocalPlace,
    chosen: Filter,
    transfers: Transfers,
    version: str = "",
) -> Iterator[Work]:
    """The work that brings these items below the target."""
    for item in items:
        if chosen.takes(item.name):
            try:
                yield mover.move(item.place, target.below(item.name), item.size, version)
            except ValueError as error:
                transfers.refuse(f"{item.place}: {error}")
