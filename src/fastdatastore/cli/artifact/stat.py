"""`fds artifact stat`: what is known of artifacts."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from fastdatastore.cli.artifact.failures import Failures
from fastdatastore.cli.artifact.stores import add_store, open_store, printable, ref_of, tags_by_ref
from fastdatastore.cli.connection import Verbs, add_verb
from fastdatastore.cli.telling import telling

if TYPE_CHECKING:
    from typing import Any

    from fastdatastore.store.stat import ArtifactStat

# More columns would hide the rest.
_MOST_COLUMNS = 100


def add_to(verbs: Verbs[Any]) -> None:
    """Adds the verb to the command line."""
    parser = add_verb(
        verbs,
        "stat",
        telling("stat", _run, of="store"),
        summary="show type, shape or columns, sizes, chunks … of artifacts",
        description="Shows what is known of artifacts, without their bytes.",
        examples="  fds artifact stat s3://bucket/store latest\n  fds artifact stat --json file:///store b3:9f3c…\n",
    )
    add_store(parser)
    parser.add_argument("artifacts", nargs="+", metavar="ARTIFACT", help="ref or tag")


def _run(options: argparse.Namespace) -> int:
    from fastdatastore.cli.transfers import write_line
    from fastdatastore.errors import FastDatastoreError

    shown = 0
    failures = Failures(options, "stat")
    with open_store(options) as store:
        tags = tags_by_ref(store)
        for artifact in options.artifacts:
            try:
                found = store.stat(ref_of(store, artifact))
            except FastDatastoreError as error:
                failures.add(artifact, error, artifact=artifact)
                continue
            names = tags.get(found.ref, [])
            if options.json:
                write_line(_facts(found, names))
            else:
                write_line(("\n" if shown else "") + table(found, names))
            shown += 1
    return failures.finish(of=len(options.artifacts))


def _facts(found: ArtifactStat, tags: list[str]) -> str:
    facts = asdict(found) | {"ratio": found.ratio, "tags": tags}
    facts["created"] = found.created and found.created.isoformat().replace("+00:00", "Z")
    return json.dumps({name: value for name, value in facts.items() if value is not None})


def table(found: ArtifactStat, tags: list[str]) -> str:
    """What a person likes to read."""
    rows = [("ref", found.ref), ("tags", ", ".join(map(printable, tags))), ("type", printable(found.type))]
    if found.schema is not None or (found.dtype is None and found.shape is not None and len(found.shape) == 2):
        rows += [("rows", f"{(found.shape or (0,))[0]:,}"), ("columns", f"{(found.shape or (0, 0))[-1]:,}")]
    elif found.shape is not None:
        shape = " × ".join(f"{length:,}" for length in found.shape) or "a single value"  # noqa: RUF001
        rows.append(("shape", f"{shape}, {found.dtype}"))
    rows += [("size", _size(found.size)), ("stored", _stored(found)), ("chunks", _chunks(found))]
    rows += [("serializer", found.serializer)]
    if found.created is not None:
        rows.append(("created", f"{found.created.astimezone():%Y-%m-%d %H:%M:%S %z}"))
    lines = [f"{name:<12}{value}" for name, value in rows if value]
    if found.schema:
        width = min(40, max(len(printable(name)) for name, _ in found.schema[:_MOST_COLUMNS]))
        lines += [
            "",
            *(f"  {printable(name):<{width}}  {printable(kind)}" for name, kind in found.schema[:_MOST_COLUMNS]),
        ]
        if len(found.schema) > _MOST_COLUMNS:
            lines.append(f"  … {len(found.schema) - _MOST_COLUMNS:,} more; --json has them all")
    return "\n".join(lines)


def _size(size: int) -> str:
    from fastdatastore.bench.sizes import format_size

    return f"{size:,} bytes" if size < 1024 else f"{format_size(size)} ({size:,} bytes)"


def _stored(found: ArtifactStat) -> str:
    if found.stored_size is None:
        return "not to be known with these credentials"
    objects = 1 if found.inline else 1 + found.unique_chunks - found.missing_chunks
    text = f"{_size(found.stored_size)} in {objects:,} object{'s' if objects > 1 else ''}"
    return text if not found.size else f"{text}, ratio {found.ratio:.2f}"


def _chunks(found: ArtifactStat) -> str:
    text = f"{found.chunks:,}"
    if found.unique_chunks != found.chunks:
        text += f", {found.unique_chunks:,} of them different"
    kinds = [f"{count:,} {codec}" for codec, count in found.codecs.items()]
    if found.missing_chunks:
        kinds.append(f"{found.missing_chunks:,} MISSING")
    return f"{text} ({', '.join(kinds)})" if kinds else text
