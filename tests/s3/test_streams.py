"""S3.put_stream and S3.put(resume=True), as a user calls them."""

from __future__ import annotations

import asyncio
import io
import os
import random
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from fastdatastore import S3, AsyncS3, Progress
from fastdatastore.config import MIB
from fastdatastore.engine.client import Client
from fastdatastore.errors import ConfigurationError
from fastdatastore.testing.servers import RunningServer
from tests.support.interrupted import SIZE, leave_behind
from tests.support.patience import comes_true

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


# ---- awaited ----


async def awaited() -> AsyncIterator[memoryview]:
    for chunk in chunks():
        await asyncio.sleep(0)
        yield chunk


@pytest.fixture
def async_s3(client: Client, bucket: str, tmp_path: Path) -> AsyncS3:
    return AsyncS3(str(tmp_path), s3root=f"s3://{bucket}", client=client)


@pytest.mark.parametrize("make", [chunks, awaited, lambda: io.BytesIO(CONTENT)])
def test_a_stream_is_stored_without_the_event_loop_waiting(async_s3: AsyncS3, bucket: str, make: Any) -> None:
    heard: list[Progress] = []

    async def main() -> None:
        loop = threading.get_ident()

        def hear(progress: Progress) -> None:
            assert threading.get_ident() == loop
            heard.append(progress)

        url = await async_s3.put_stream("key", make(), content_type="text/x", metadata={"a": 1}, progress=hear)
        assert url == f"s3://{bucket}/key"
        got = await async_s3.get("key")
        assert (got.blob, got.content_type, got.metadata) == (CONTENT, "text/x", {"a": 1})
        await async_s3.put_stream("key", iter([b"other"]), overwrite=False)
        assert (await async_s3.get("key")).blob == CONTENT

    asyncio.run(main())
    assert heard[-1].bytes == len(CONTENT)


def test_a_stream_may_wait_for_what_the_event_loop_does(async_s3: AsyncS3) -> None:
    async def main() -> None:
        reader, writer = os.pipe()
        with os.fdopen(reader, "rb") as read_end, os.fdopen(writer, "wb") as write_end:
            storing = asyncio.create_task(async_s3.put_stream("key", read_end))
            await asyncio.sleep(0.1)
            write_end.write(b"at last")
            write_end.close()
            await storing
        assert (await async_s3.get("key")).blob == b"at last"

    asyncio.run(main())


class Mine(Exception):
    """The user's own."""


def failing() -> Iterator[bytes]:
    yield CONTENT
    raise Mine


async def failing_awaited() -> AsyncIterator[bytes]:
    yield CONTENT
    raise Mine


@pytest.mark.parametrize("make", [failing, failing_awaited])
def test_what_an_awaited_stream_raises_comes_out(async_s3: AsyncS3, control: Any, bucket: str, make: Any) -> None:
    with pytest.raises(Mine):
        asyncio.run(async_s3.put_stream("key", make()))
    assert uploads(control, bucket, "key") == []


def test_what_progress_raises_ends_an_awaited_stream(async_s3: AsyncS3, control: Any, bucket: str) -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            await asyncio.sleep(0)
            yield CONTENT

    def refuse(progress: Progress) -> None:
        raise Mine

    with pytest.raises(Mine):
        asyncio.run(async_s3.put_stream("key", endless(), progress=refuse))
    assert comes_true(lambda: uploads(control, bucket, "key") == [])


def test_an_awaited_stream_that_is_cancelled_is_closed_and_its_upload_aborted(
    async_s3: AsyncS3, control: Any, bucket: str
) -> None:
    closed = []

    async def main() -> None:
        read = asyncio.Event()

        async def stuck() -> AsyncIterator[bytes]:
            try:
                yield CONTENT
                read.set()
                await asyncio.Event().wait()
            finally:
                await asyncio.sleep(0.01)
                closed.append(True)

        storing = asyncio.create_task(async_s3.put_stream("key", stuck()))
        await read.wait()
        storing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await storing
        assert closed

    asyncio.run(main())
    assert comes_true(lambda: uploads(control, bucket, "key") == [])


def test_a_stream_that_blocks_does_not_hold_up_who_cancels_it(async_s3: AsyncS3, control: Any, bucket: str) -> None:
    reading, go_on = threading.Event(), threading.Event()

    def stuck() -> Iterator[bytes]:
        yield CONTENT
        reading.set()
        go_on.wait(60)
        yield CONTENT

    async def main() -> None:
        storing = asyncio.create_task(async_s3.put_stream("key", stuck()))
        await asyncio.to_thread(reading.wait, 60)
        storing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await storing
        assert not go_on.is_set()

    asyncio.run(main())
    go_on.set()
    assert comes_true(lambda: uploads(control, bucket, "key") == [])
