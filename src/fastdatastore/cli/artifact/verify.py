"""`fds artifact verify`: compares all bytes with their digests."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Generator
from dataclasses import asdict
from typing import TYPE_CHECKING

from fastdatastore.cli.artifact.stores import add_store, open_store, ref_of, saying
from fastdatastore.cli.connection import Verbs, add_verb
from fastdatastore.cli.telling import telling

if TYPE_CHECKING:
    from typing import Any

    from fastdatastore.store.verify import Finding, Verified

_DESCRIPTION = """\
Reads a store, or some artifacts of it, and compares every byte with the digest
by which it is named. Names each artifact and chunk that is damaged or missing;
changes nothing. Exit code 1 if there is any.
"""
_EXAMPLES = """\
  fds artifact verify s3://bucket/store
  fds artifact verify file:///data/store latest b3:9f3c…
"""


def add_to(verbs: Verbs[Any]) -> None:
    """Adds the verb to the command line."""
    parser = add_verb(
        verbs,
        "verify",
        telling("verify", _run, of="store"),
        summary="read all bytes and compare them",
        description=_DESCRIPTION,
        examples=_EXAMPLES,
    )
    add_store(parser)
    parser.add_argument("artifacts", nargs="*", metavar="ARTIFACT", help="ref or tag (default: the whole store)")


def _run(options: argparse.Namespace) -> int:
    from fastdatastore.cli.transfers import write_line

    found: list[str] = []
    verified: Verified | None = None

    def findings(source: Generator[Finding, None, Verified]) -> Generator[Finding, None, None]:
        nonlocal verified
        verified = yield from source

    with open_store(options) as store, saying() as say:
        refs = [ref_of(store, name) for name in options.artifacts] or None
        for finding in findings(store.verify(refs, progress=say)):
            found.append(_facts(finding) if options.json else str(finding))
    for line in found:
        write_line(line)
    if found:
        print(f"fds: {len(found):,} of what was looked at is damaged or missing", file=sys.stderr)
        return 1
    assert verified is not None
    write_line(json.dumps(asdict(verified)) if options.json else text(verified, is_whole=refs is None))
    return 0


def _facts(finding: Finding) -> str:
    return json.dumps(asdict(finding) | {"success": False, "error": str(finding)})


def text(verified: Verified, *, is_whole: bool) -> str:
    """What a person likes to read."""
    from fastdatastore.cli.artifact.gc import amount

    looked = f"good: {amount(verified.artifacts, 'artifact')}, {amount(verified.chunks, 'chunk')}"
    if not is_whole:
        return looked
    tags = f"{verified.tags:,} tag{'' if verified.tags == 1 else 's'}"
    return f"{looked}, {tags}; garbage: {amount(verified.garbage, 'chunk')}"
