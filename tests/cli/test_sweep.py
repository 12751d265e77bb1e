"""`fds sweep`: uploads that were left behind are ended, others and objects stay."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest

from fastdatastore.testing.servers import RunningServer
from tests.cli.conftest import Fds
from tests.support.interrupted import SIZE, leave_behind


def _begin(s3: object, bucket: str, key: str) -> None:
    upload = s3.create_multipart_upload(Bucket=bucket, Key=key)  # type: ignore[attr-defined]
    s3.upload_part(  # type: ignore[attr-defined]
        Bucket=bucket, Key=key, UploadId=upload["UploadId"], PartNumber=1, Body=b"x"
    )


def _uploads(s3: object, bucket: str) -> list[str]:
    listed = s3.list_multipart_uploads(Bucket=bucket)  # type: ignore[attr-defined]
    return sorted(upload["Key"] for upload in listed.get("Uploads", ()))


@pytest.mark.fault(50)
def test_fds_sweep(fds: Fds, s3_server: RunningServer, bucket: str) -> None:
    s3 = s3_server.client()
    # MinIO lists the uploads of a whole key only, not of a prefix: so the prefix is the bucket.
    for key in ("left/one", "left/two words"):
        _begin(s3, bucket, key)
    s3.put_object(Bucket=bucket, Key="left/object", Body=b"stays")
    before = _uploads(s3, bucket)

    young = fds("sweep", f"s3://{bucket}", **s3_server.env())
    assert young.returncode == 0
    assert young.stdout.endswith("unfinished uploads ended\n")
    if s3_server.name == "moto":  # which says of every upload that it was begun in 2010
        assert _uploads(s3, bucket) == []
        return
    assert _uploads(s3, bucket) == before

    tried = fds("sweep", f"s3://{bucket}", "--older-than", "0s", "--dry-run", **s3_server.env())
    assert tried.returncode == 0
    assert _uploads(s3, bucket) == before

    done = fds("sweep", f"s3://{bucket}", "--older-than", "0s", **s3_server.env())
    assert done.returncode == 0, done.stdout
    assert _uploads(s3, bucket) == []
    assert s3.get_object(Bucket=bucket, Key="left/object")["Body"].read() == b"stays"
    if before:
        assert f"ended s3://{bucket}/left/two words begun 20" in done.stdout
        assert "2 of 2 unfinished uploads ended" in done.stdout


def test_fds_sweep_resume(fds: Fds, s3_server: RunningServer, bucket: str, tmp_path: Path) -> None:
    s3 = s3_server.client()
    content = random.Random(12).randbytes(SIZE)
    path = tmp_path / "file"
    path.write_bytes(content)
    leave_behind(s3_server, bucket, "left", content, (("x-amz-meta-by", "another"),))

    done = fds("sweep", "--resume", str(path), f"s3://{bucket}/left", **s3_server.env())
    assert done.returncode == 0, done.stderr
    wanted = rf"s3://{bucket}/left: resumed, parts that were there: [23]; {SIZE:,} bytes, verified by \w+\n"
    assert re.fullmatch(wanted, done.stdout)
    stored = s3.get_object(Bucket=bucket, Key="left")
    assert stored["Body"].read() == content
    assert stored["Metadata"]["by"] == "another"
    assert _uploads(s3, bucket) == []

    again = fds("sweep", "--resume", str(path), f"s3://{bucket}/new", **s3_server.env())
    assert again.returncode == 0
    assert "uploaded whole, nothing of it was there" in again.stdout
    assert s3.get_object(Bucket=bucket, Key="new")["Body"].read() == content


def test_fds_sweep_resume_of_a_file_that_is_not_there(fds: Fds, s3_server: RunningServer, bucket: str) -> None:
    done = fds("sweep", "--resume", "/no/such/file", f"s3://{bucket}/key", **s3_server.env())
    assert done.returncode == 1
    assert done.stderr.startswith("fds: cannot read /no/such/file")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["bucket"], "s3://bucket/prefix is needed"),
        (["s3://"], "is not a bucket name"),
        (["s3://bucket", "--older-than", "tomorrow"], "90s, 30m, 24h or 7d, got 'tomorrow'"),
        (["s3://bucket", "--resume", "file"], "--resume FILE takes the s3://BUCKET/KEY"),
        (["s3://bucket/key", "--resume", "file", "--dry-run"], "no --dry-run"),
    ],
)
def test_fds_sweep_of_nonsense(fds: Fds, arguments: list[str], says: str) -> None:
    done = fds("sweep", *arguments)
    assert done.returncode == 2
    assert done.stderr.startswith("fds: ")
    assert says in done.stderr


def test_fds_sweep_of_a_bucket_that_is_not_there(fds: Fds, s3_server: RunningServer) -> None:
    done = fds("sweep", "s3://no-such-bucket-here", **s3_server.env())
    assert done.returncode == 1
    assert "ListMultipartUploads s3://no-such-bucket-here" in done.stderr
