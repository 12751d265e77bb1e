"""Standard input as an object, an object to standard output."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from fastdatastore import errors
from fastdatastore.cli.places import S3Place
from fastdatastore.cli.transfers import Action

if TYPE_CHECKING:
    from fastdatastore.engine.client import Client
    from fastdatastore.engine.job import Job
    from fastdatastore.engine.request import Pairs

# Of an object that is written while it comes; several such windows would be no faster than a pipe is.
_PIECE = 16 << 20
_WINDOW = 8


def from_stdin(client: Client, target: S3Place, headers: Pairs) -> tuple[Action, Callable[[], Job]]:
    """The work that uploads all of standard input, as it comes."""

    def make() -> Job:
        from fastdatastore.auth.endpoint import check_key

        check_key(target.key)
        return client.put_stream(target.bucket, target.key, sys.stdin.buffer, headers)

    return Action("upload", "-", str(target)), make


def to_stdout(client: Client, source: S3Place, version: str = "") -> None:
    """Writes an object to standard output, in order, as its pieces come.

    At most 128 MiB are in memory. What is small is verified before a byte is written; of the rest the checksum is
    known when all is written.

    Raises:
        IntegrityError: What was written is damaged. Modified: It was replaced meanwhile.
    """
    from fastdatastore.engine import integrity
    from fastdatastore.engine.head import HeadJob
    from fastdatastore.engine.plan import parts
    from fastdatastore.engine.planes.local import local as native
    from fastdatastore.engine.ranges import ByteRange

    head = client.run_one(HeadJob(source.bucket, source.key, version, with_checksum=True))
    if head.size <= _PIECE:
        _write(client.run_one(client.get(source.bucket, source.key, version_id=version)).content)
        return
    expected = integrity.expected_of(head.headers)
    algorithm = integrity.ALGORITHMS[expected.algorithm if expected else integrity.PREFERRED]
    crc = 0
    pieces = parts(0, head.size, _PIECE)
    for first in range(0, len(pieces), _WINDOW):
        jobs = [
            client.get(source.bucket, source.key, byte_range=ByteRange(offset, length), version_id=version)
            for offset, length in pieces[first : first + _WINDOW]
        ]
        due = list(jobs)
        for ended in client.run(jobs):
            if ended.error is not None:
                raise ended.error
            if ended.headers.get("etag") != head.headers.get("etag"):
                raise errors.Modified("it was replaced while it was read", bucket=source.bucket, key=source.key)
            while due and due[0].done:
                content = due.pop(0).content
                crc = native.crc(algorithm, content, crc)
                _write(content)
    if expected is not None and crc != expected.value:
        raise errors.IntegrityError("what was written is damaged", bucket=source.bucket, key=source.key)


def _write(content: memoryview) -> None:
    sys.stdout.buffer.write(content)
    sys.stdout.buffer.flush()
