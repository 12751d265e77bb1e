"""get_file, get_files: downloads to files of the caller's."""

from __future__ import annotations

import asyncio
import errno
import os
import random
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fastdatastore import S3, AsyncS3, S3GetObject
from fastdatastore.config import MIB
from fastdatastore.engine.client import Client
from fastdatastore.errors import ConfigurationError, InsufficientDiskSpace, LocalFileError, NotFound, S3Error
from tests.support.clients import client_at
from tests.support.scripted_server import Received, Reply, ScriptedServer, StoredObject, error_reply

pytestmark = pytest.mark.servers("null", "seaweedfs")

LARGE = random.Random(6).randbytes(20 * MIB + 7)


def _s3(url: str, tmp_path: Path, **settings: Any) -> S3:
    return S3(str(tmp_path), s3root="s3://some-bucket", client=client_at(url, **settings))


@pytest.mark.parametrize("size", [0, 1, 300_000, len(LARGE)])
def test_an_object_becomes_a_file_that_stays(s3: S3, tmp_path: Path, size: int) -> None:
    s3.put("key", memoryview(LARGE)[:size])
    path = tmp_path / "out"
    got = s3.get_file("key", str(path))
    s3.close()
    assert path.read_bytes() == LARGE[:size]
    assert (got.path, got.size, got.blob, got.downloaded) == (str(path), size, LARGE[:size], True)
    assert list(tmp_path.iterdir()) == [path]


def test_many_objects_become_files_in_directories_that_are_made(s3: S3, tmp_path: Path) -> None:
    rows = [(f"a/{i}", f"value {i}") for i in range(50)]
    s3.put_many(rows)
    got = s3.get_files((key, tmp_path / "new" / key) for key, _ in rows)
    assert [o.key for o in got] == [key for key, _ in rows]
    assert [Path(o.path or "").read_text() for o in got] == [value for _, value in rows]


def test_one_object_can_become_several_files_and_ranges_too(s3: S3, tmp_path: Path) -> None:
    s3.put("key", LARGE)
    keys: list[Any] = ["key", "key", S3GetObject("key", 10, 12 * MIB), S3GetObject("key", 3, 0)]
    s3.get_files((key, tmp_path / str(i)) for i, key in enumerate(keys))
    got = [(tmp_path / str(i)).read_bytes() for i in range(4)]
    assert got == [LARGE, LARGE, LARGE[10 : 10 + 12 * MIB], b""]


def test_a_missing_object_leaves_the_file_that_was_there(s3: S3, tmp_path: Path) -> None:
    (tmp_path / "old").write_text("old")
    with pytest.raises(NotFound):
        s3.get_file("missing", tmp_path / "old")
    assert not s3.get_file("missing", tmp_path / "deep" / "new", return_missing=True).exists
    assert (tmp_path / "old").read_text() == "old"
    assert os.listdir(tmp_path) == ["old"]  # noqa: PTH208 - names


def test_an_object_replaces_the_file_that_was_there_and_the_file_a_link_names(s3: S3, tmp_path: Path) -> None:
    s3.put("key", b"new")
    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to("real")
    s3.get_file("key", tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == "new"


def test_the_umask_is_respected(s3: S3, tmp_path: Path) -> None:
    s3.put("key", b"x")
    before = os.umask(0o027)
    try:
        s3.get_file("key", tmp_path / "out")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == 0o640


def test_the_longest_names_work(s3: S3, tmp_path: Path) -> None:
    s3.put("key", b"x")
    for name in ("a" * 255, "ü" * 127, "🌍" * 63):
        s3.get_file("key", tmp_path / name)
        assert (tmp_path / name).read_bytes() == b"x"


def _directory(tmp_path: Path) -> Path:
    (tmp_path / "directory").mkdir()
    return tmp_path / "directory"


def _fifo(tmp_path: Path) -> Path:
    os.mkfifo(tmp_path / "fifo")
    return tmp_path / "fifo"


def _below_a_file(tmp_path: Path) -> Path:
    (tmp_path / "file").touch()
    return tmp_path / "file" / "below"


@pytest.mark.parametrize(
    "make_path",
    [
        _directory,
        _fifo,
        _below_a_file,
        lambda tmp_path: f"{tmp_path}/new/",
        lambda tmp_path: tmp_path / ("n" * 256),
        lambda tmp_path: f"{tmp_path}/a\0b",
        lambda tmp_path: "/dev/null",
        lambda tmp_path: "",
    ],
    ids=["directory", "fifo", "below a file", "ends in /", "long name", "NUL", "/dev/null", "empty"],
)
def test_a_path_that_cannot_become_a_file_is_refused_before_anything_is_sent(
    tmp_path: Path, make_path: Callable[[Path], Any]
) -> None:
    path = make_path(tmp_path)
    with ScriptedServer(StoredObject(b"12345").get) as server:
        with pytest.raises(LocalFileError):
            _s3(server.url, tmp_path).get_files([("good", tmp_path / "good"), ("key", path)])
        assert server.requests == []


def test_a_directory_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    with ScriptedServer(StoredObject(b"12345").get) as server, pytest.raises(LocalFileError, match=r"/proc/.*/x"):
        _s3(server.url, tmp_path).get_file("key", "/proc/self/x")


def test_two_objects_for_one_file_are_refused(tmp_path: Path) -> None:
    with ScriptedServer(StoredObject(b"12345").get) as server:
        with pytest.raises(ConfigurationError, match="two objects"):
            _s3(server.url, tmp_path).get_files([("a", tmp_path / "x"), ("b", f"{tmp_path}/./x")])
        assert server.requests == []


@pytest.mark.parametrize("content", [b"small", LARGE])
def test_bytes_that_are_not_the_objects_never_become_a_file(tmp_path: Path, content: bytes) -> None:
    out = tmp_path / "out"
    out.write_text("old")
    stored = StoredObject(content, headers={"x-amz-checksum-crc32": "AAAAAA=="})
    with ScriptedServer(stored.get) as server, pytest.raises(S3Error, match="crc32"):
        _s3(server.url, tmp_path).get_file("key", out)
    assert out.read_text() == "old"
    assert list(tmp_path.iterdir()) == [out]


def test_no_partial_file_is_ever_visible(tmp_path: Path) -> None:
    out = tmp_path / "out"
    seen = []

    def script(received: Received) -> Reply:
        seen.append(out.exists())
        if "range" in received.headers and received.range[1] == len(LARGE) - 1:
            return error_reply(403, "AccessDenied")
        return StoredObject(LARGE).get(received)

    with ScriptedServer(script) as server, pytest.raises(S3Error):
        _s3(server.url, tmp_path).get_file("key", out)
    assert len(seen) > 1
    assert not any(seen)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_said_with_the_path_and_the_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(fd: int, offset: int, length: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    message = f"out needs {len(LARGE):,} bytes"
    with ScriptedServer(StoredObject(LARGE).get) as server, pytest.raises(InsufficientDiskSpace, match=message):
        _s3(server.url, tmp_path).get_file("key", tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_a_file_system_that_cannot_claim_space_is_written_to_all_the_same(
    s3: S3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cannot(fd: int, offset: int, length: int) -> None:
        raise OSError(errno.EOPNOTSUPP, "Operation not supported")

    s3.put("key", LARGE)
    monkeypatch.setattr(os, "posix_fallocate", cannot)
    s3.get_file("key", tmp_path / "out")
    assert (tmp_path / "out").read_bytes() == LARGE


def test_it_can_be_awaited(s3: S3, client: Client, bucket: str, tmp_path: Path) -> None:
    s3.put_many([("a", LARGE), ("b", b"small")])

    async def main() -> None:
        async with AsyncS3(str(tmp_path), s3root=f"s3://{bucket}", client=client) as s3:
            await s3.get_file("a", tmp_path / "a")
            await s3.get_files([("b", tmp_path / "b")])

    asyncio.run(main())
    assert (tmp_path / "a").read_bytes() == LARGE
    assert (tmp_path / "b").read_bytes() == b"small"
