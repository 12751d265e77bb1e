"""`fds stat`: what is known of an object."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING

from fastdatastore.cli.connection import Verbs, add_verb, connect
from fastdatastore.cli.places import S3Place, add_objects, objects_of

if TYPE_CHECKING:
    from typing import Any

    from fastdatastore.engine.head import HeadJob

_NAMES = {
    "last-modified": "modified",
    "etag": "etag",
    "content-type": "content-type",
    "content-encoding": "content-encoding",
    "cache-control": "cache-control",
    "x-amz-version-id": "version-id",
    "x-amz-storage-class": "storage-class",
    "x-amz-server-side-encryption": "encryption",
    "x-amz-server-side-encryption-aws-kms-key-id": "kms-key-id",
}
_FAMILIES = {"x-amz-checksum-": "checksum-", "x-amz-meta-": "metadata-"}


def add_to(verbs: Verbs[Any]) -> None:
    """Adds the verb to the command line."""
    parser = add_verb(
        verbs,
        "stat",
        _run,
        summary="show size, time, checksum, metadata … of objects",
        description="Shows what is known of objects, without their bytes.",
        examples="  fds stat s3://bucket/model.bin\n  fds stat --json s3://bucket/a s3://bucket/b\n",
    )
    add_objects(parser)


def _run(options: argparse.Namespace) -> int:
    places = objects_of(options)
    from fastdatastore.cli.transfers import Transfers, write_line
    from fastdatastore.engine.head import HeadJob

    client = connect(options)
    transfers = Transfers(client, as_json=options.json)
    jobs = [HeadJob(place.bucket, place.key, options.version_id, with_checksum=True) for place in places]
    for _ in client.run(jobs):
        pass
    for place, job in zip(places, jobs, strict=True):
        if job.error is not None:
            transfers.refuse(str(job.error))
            continue
        facts = _facts(place, job)
        write_line(json.dumps(facts) if options.json else _table(facts))
    return transfers.exit_code


def _table(facts: dict[str, Any]) -> str:
    width = max(map(len, facts)) + 2
    return "\n".join(f"{name:<{width}}{value}" for name, value in facts.items())


def _facts(place: S3Place, job: HeadJob) -> dict[str, Any]:
    facts: dict[str, Any] = {"url": str(place), "size": job.size}
    facts |= {name: job.headers[header] for header, name in _NAMES.items() if header in job.headers}
    for header, value in job.headers.items():
        for start, name in _FAMILIES.items():
            if header.startswith(start):
                facts[name + header.removeprefix(start)] = value
    return facts
