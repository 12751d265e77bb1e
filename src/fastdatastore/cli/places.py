"""What a user names on the command line: an object or prefix by its s3:// URL, a local path, or - for a stream."""

from __future__ import annotations

import argparse
import os
import re
from dataclasses import dataclass
from pathlib import Path

from fastdatastore.cli.commands import CannotRun

_WILDCARD = re.compile(r"[*?]")


@dataclass(frozen=True)
class S3Place:
    """A bucket, or what is in it: `key` is an object's key or a prefix, "" being the whole bucket."""

    bucket: str
    key: str

    @property
    def is_directory(self) -> bool:
        """Names can only be below it."""
        return not self.key or self.key.endswith("/")

    @property
    def name(self) -> str:
        """The last piece of the key."""
        return self.key.rpartition("/")[2]

    def as_directory(self) -> S3Place:
        return self if self.is_directory else S3Place(self.bucket, self.key + "/")

    def below(self, name: str) -> S3Place:
        return S3Place(self.bucket, self.as_directory().key + name)

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.key}"


@dataclass(frozen=True)
class LocalPlace:
    """A file or directory. `text` is as the user wrote it: a "/" at its end means a directory."""

    text: str

    @property
    def path(self) -> Path:
        return Path(self.text)

    @property
    def is_directory(self) -> bool:
        """It is one, or is to be one."""
        return self.text.endswith(os.sep) or self.path.is_dir()

    @property
    def name(self) -> str:
        return self.path.name

    def as_directory(self) -> LocalPlace:
        return self

    def below(self, name: str) -> LocalPlace:
        """A file below this directory.

        Raises:
            ValueError: The name would lead out of it, or cannot be a file's.
        """
        pieces = name.split("/")
        if any(piece in ("", ".", "..") for piece in pieces) or "\0" in name:
            raise ValueError(f"{name!r} cannot be the name of a file below {self.text}")
        return LocalPlace(str(Path(self.text, *pieces)))

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class Stream:
    """Standard input or output."""

    is_directory = False
    name = "-"

    def __str__(self) -> str:
        return "-"


Place = S3Place | LocalPlace | Stream


def parse(text: str) -> Place:
    """The place that an argument names.

    Raises:
        CannotRun: It can be none.
    """
    if text == "-":
        return Stream()
    if "://" not in text:
        if not text:
            raise CannotRun("a path must not be empty; for the working directory write .")
        return LocalPlace(text)
    return parse_s3(text)


def parse_s3(text: str) -> S3Place:
    """The place that an s3:// URL names.

    Raises:
        CannotRun: It is none.
    """
    from fastdatastore.auth.access_points import split_bucket
    from fastdatastore.auth.endpoint import check_bucket
    from fastdatastore.errors import ConfigurationError

    if not text.startswith("s3://"):
        raise CannotRun(f"a URL such as s3://bucket/key is needed, got {text!r}")
    bucket, key = split_bucket(text.removeprefix("s3://"))
    try:
        check_bucket(bucket)
    except ConfigurationError as error:
        raise CannotRun(str(error)) from None
    return S3Place(bucket, key)


def parse_object(text: str) -> S3Place:
    """The one object that an s3:// URL names.

    Raises:
        CannotRun: It is none, or can only be a prefix.
    """
    place = parse_s3(text)
    if not place.key:
        raise CannotRun(f"{text} is a bucket; name an object, s3://bucket/key")
    return place


def has_wildcard(place: Place) -> bool:
    return isinstance(place, S3Place) and _WILDCARD.search(place.key) is not None


def glob(place: S3Place) -> tuple[S3Place, re.Pattern[str]]:
    """The directory to list for a key with wildcards, and what names below it must match.

    As in s5cmd, * stands for any characters, "/" included, and ? for one.
    """
    first = _WILDCARD.search(place.key)
    cut = place.key.rfind("/", 0, first.start() if first else None) + 1
    return S3Place(place.bucket, place.key[:cut]), pattern(place.key[cut:])


def pattern(text: str) -> re.Pattern[str]:
    """What * and ? stand for."""
    pieces = {"*": ".*", "?": "."}
    return re.compile("".join(pieces.get(c) or re.escape(c) for c in text), re.DOTALL)


def add_objects(parser: argparse.ArgumentParser) -> None:
    """The arguments of a verb that takes objects, or a version of one."""
    parser.add_argument("urls", nargs="+", metavar="s3://BUCKET/KEY")
    parser.add_argument("--version-id", metavar="ID", default="", help="of the one object")


def objects_of(options: argparse.Namespace) -> list[S3Place]:
    """What was given for them.

    Raises:
        CannotRun: A URL is no object's, or a version is named for several.
    """
    places = [parse_object(url) for url in options.urls]
    if options.version_id and len(places) > 1:
        raise CannotRun("--version-id is of one object")
    return places
