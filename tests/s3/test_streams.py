"""S3.put_stream and S3.put(resume=True), as a user calls them."""

from __future__ import annotations

import asyncio
import os
import random
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fastdatastore import S3, AsyncS3
from fastdatastore.config import MIB
from fastdatastore.engine.client import Client
from fastdatastore.errors import ConfigurationError
from fastdatastore.testing.servers import RunningServer
from tests.support.interrupted import SIZE, leave_behind

CONTENT = random.Random(11).randbytes(SIZE)


def chunks() -> Iterator[memoryview]:
    view = memoryview(CONTENT)
    for at in range(0, len(view), 3 * MIB):
        yield view[at : at + 3 * MIB]


def test_a_generator_is_stored(s3: S3, bucket: str) -> None:
    assert s3.put_stream("key", chunks(), content_type="text/x", metadata={"a": 1}) == f"s3://{bucket}/key"
    got = s3.get("key")
    assert got.blob == CONTENT
    assert (got.content_type, got.metadata) == ("text/x", {"a": 1})


def test_a_pipe_is_stored_until_its_writer_closes_it(s3: S3) -> None:
    reader, writer = os.pipe()

    def write() -> None:
        with os.fdopen(writer, "wb") as file:
            file.write(CONTENT)

    thread = threading.Thread(target=write)
    thread.start()
    with os.fdopen(reader, "rb") as file:
        s3.put_stream("pipe", file)
    thread.join()
    assert s3.get("pipe").blob == CONTENT


def test_a_file_is_streamed_from_where_it_stands(s3: S3, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(CONTENT)
    with path.open("rb") as file:
        file.seek(100)
        s3.put_stream("key", file)
        assert file.tell() == len(CONTENT)
    assert s3.get("key").blob == CONTENT[100:]


def test_a_stream_does_not_overwrite_unless_it_may(s3: S3) -> None:
    s3.put("key", "first")
    s3.put_stream("key", chunks(), overwrite=False)
    assert s3.get("key").text == "first"


@pytest.mark.parametrize("how", ["put", "put_many"])
def test_what_cannot_be_sought_is_no_value_of_put(s3: S3, how: str) -> None:
    reader, writer = os.pipe()
    os.close(writer)
    with os.fdopen(reader, "rb") as file, pytest.raises(ConfigurationError, match=r"seekable.*put_stream"):
        s3.put("key", file) if how == "put" else s3.put_many([("key", file)])
    assert s3.list_recursive() == []


def test_a_closed_file_is_called_closed(s3: S3, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x")
    with path.open("rb") as file:
        pass
    with pytest.raises(ConfigurationError, match="is closed"):
        s3.put("key", file)


def uploads(control: Any, bucket: str, key: str) -> list[Any]:
    found: list[Any] = control.list_multipart_uploads(Bucket=bucket, Prefix=key).get("Uploads", [])
    return found


def test_put_many_resumes_what_was_left_behind(s3: S3, s3_server: RunningServer, control: Any, bucket: str) -> None:
    leave_behind(s3_server, bucket, "large", CONTENT)
    s3.put_many([("large", CONTENT), ("small", "x")], resume=True)
    assert s3.get("large").blob == CONTENT
    assert s3.get("small").text == "x"
    assert uploads(control, bucket, "large") == []


def test_an_awaited_put_resumes_what_was_left_behind(
    client: Client, s3_server: RunningServer, control: Any, bucket: str
) -> None:
    async def main() -> bytes | None:
        async with AsyncS3(s3root=f"s3://{bucket}", client=client) as s3:
            await s3.put("large", CONTENT, resume=True)
            return (await s3.get("large")).blob

    leave_behind(s3_server, bucket, "large", CONTENT)
    assert asyncio.run(main()) == CONTENT
    assert uploads(control, bucket, "large") == []
