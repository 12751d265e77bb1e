"""`fds sweep`: ends or finishes multipart uploads that were left behind; their parts cost storage and show nowhere."""

from __future__ import annotations

import argparse
import re
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastdatastore.cli.commands import CannotRun

if TYPE_CHECKING:
    from fastdatastore.engine.uploads import Upload

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}

_EPILOG = """\
An upload that is still under way looks like one that was left behind: only its
age tells, by the server's clock. Credentials and endpoint come from the usual
AWS variables and files.

  fds sweep s3://bucket --dry-run          what would be ended
  fds sweep s3://bucket/run/42 --older-than 7d

With --resume an upload is finished instead, from the file that it was begun
with. Parts that are there already are compared with the file and not sent
again; what does not fit the file is left alone. Not while it is still running.

  fds sweep --resume weights.bin s3://bucket/run/42/weights
"""


def add_to(verbs: argparse._SubParsersAction[Any]) -> None:
    """Adds the verb to the command line."""
    parser = verbs.add_parser(
        "sweep",
        help="end, or finish, multipart uploads that were left behind",
        description="Ends multipart uploads that were begun below a prefix and never finished, or finishes one.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("url", metavar="s3://BUCKET[/PREFIX]", help="keys that begin so")
    parser.add_argument(
        "--older-than", metavar="AGE", default="24h", help="such as 90s, 30m, 24h or 7d (default: 24h); 0s: all"
    )
    parser.add_argument("--dry-run", action="store_true", help="only list them")
    parser.add_argument("--resume", metavar="FILE", help="finish the upload of this file to s3://BUCKET/KEY")
    parser.set_defaults(run=_run)


def parse_age(text: str, option: str = "--older-than") -> int:
    """Seconds of "90s", "30m", "24h" or "7d", as the option has it.

    Raises:
        CannotRun: It is none of these.
    """
    match = re.fullmatch(r"(\d{1,9})([smhd])", text.strip())
    if not match:
        raise CannotRun(f"{option} must be like 90s, 30m, 24h or 7d, got {text!r}")
    return int(match[1]) * _UNITS[match[2]]


def _run(options: argparse.Namespace) -> int:
    age = parse_age(options.older_than)
    from fastdatastore.auth.endpoint import check_bucket
    from fastdatastore.errors import ConfigurationError

    bucket, _, prefix = options.url.removeprefix("s3://").partition("/")
    if not options.url.startswith("s3://"):
        raise CannotRun(f"a URL such as s3://bucket/prefix is needed, got {options.url!r}")
    try:
        check_bucket(bucket)
    except ConfigurationError as error:
        raise CannotRun(str(error)) from None
    if options.resume is None:
        return _sweep(bucket, prefix, age, options.dry_run)
    if options.dry_run or not prefix:
        raise CannotRun("--resume FILE takes the s3://BUCKET/KEY of the upload, and no --dry-run")
    return _resume(bucket, prefix, Path(options.resume))


def _resume(bucket: str, key: str, path: Path) -> int:
    from fastdatastore.engine.client import Client

    client = Client()
    job = client.run_one(client.put(bucket, key, path, resume=True))
    how = (
        f"resumed, parts that were there: {job.resumed:,}" if job.resumed else "uploaded whole, nothing of it was there"
    )
    print(f"s3://{bucket}/{key}: {how}; {job.size:,} bytes, verified by {job.verified_by}")
    return 0


def _sweep(bucket: str, prefix: str, age: int, dry_run: bool) -> int:
    from fastdatastore.engine.client import Client
    from fastdatastore.engine.uploads import AbortJob, ListUploadsJob

    client = Client()
    latest = time.time() - age
    uploads = client.run_one(ListUploadsJob(bucket, prefix)).uploads
    old = [upload for upload in uploads if upload.initiated is None or upload.initiated <= latest]
    if dry_run:
        for upload in old:
            print(f"would end {_line(bucket, upload)}")
        print(f"{len(old)} of {len(uploads)} unfinished uploads would be ended")
        return 0
    jobs = {AbortJob(bucket, upload.key, upload.upload_id): upload for upload in old}
    failed = 0
    for job in client.run(jobs):
        if job.error is None:
            print(f"ended {_line(bucket, jobs[job])}")
        else:
            failed += 1
            print(f"NOT ended {_line(bucket, jobs[job])}: {job.error}")
    print(f"{len(old) - failed} of {len(uploads)} unfinished uploads ended" + (f", {failed} failed" if failed else ""))
    return 1 if failed else 0


def _line(bucket: str, upload: Upload) -> str:
    when = "?" if upload.initiated is None else f"{datetime.fromtimestamp(upload.initiated, UTC):%Y-%m-%d %H:%M:%SZ}"
    return f"s3://{bucket}/{upload.key} begun {when} ({upload.upload_id})"
