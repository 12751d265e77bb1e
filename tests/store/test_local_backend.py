"""What is a directory's own: disks that fill up, killed writers, several processes, what lies on the disk."""

from __future__ import annotations

import errno
import multiprocessing
import os
import pickle
import threading
from pathlib import Path
from typing import Any

import pytest

from fastdatastore import errors
from fastdatastore.store.backends.base import Read, Write
from fastdatastore.store.backends.local import PARTIAL, STALE, LocalBackend
from tests.store.conformance import LARGE, get, names, put

CONDITIONS = [{}, {"if_none_match": True}, {"if_match": "first"}]


@pytest.fixture
def backend(tmp_path: Path) -> LocalBackend:
    return LocalBackend(tmp_path / "a" / "store")


def files(backend: LocalBackend) -> list[str]:
    return sorted(str(path.relative_to(backend.root)) for path in backend.root.rglob("*") if path.is_file())


def test_an_object_is_a_file_of_its_name_and_nothing_else_stays(backend: LocalBackend) -> None:
    etag = put(backend, "chunks/b3/ab/abcd", b"header", b"body").etag
    put(backend, "chunks/b3/ab/abcd", b"new", if_match=etag)
    assert files(backend) == [".lock", "chunks/b3/ab/abcd"]
    assert (backend.root / "chunks/b3/ab/abcd").read_bytes() == b"new"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize("condition", CONDITIONS, ids=["always", "none", "match"])
@pytest.mark.parametrize("step", ["pwritev", "fsync"])
def test_a_full_disk_is_said_and_leaves_nothing_and_what_was_there(
    backend: LocalBackend, monkeypatch: pytest.MonkeyPatch, step: str, condition: dict[str, Any], number: int
) -> None:
    first = put(backend, "other", b"first").etag
    name = "other" if "if_match" in condition else "a/new"
    before = files(backend)

    def full(*arguments: Any) -> Any:
        raise OSError(number, os.strerror(number))

    if "if_match" in condition:
        condition = {"if_match": first}
    with monkeypatch.context() as patch:
        patch.setattr(os, step, full)
        with pytest.raises(errors.InsufficientDiskSpace, match="16,777,216 bytes"):
            put(backend, name, LARGE, **condition)
    assert files(backend) == before
    assert get(backend, "other") == b"first"


def test_a_disk_that_takes_and_gives_a_little_at_a_time_is_waited_for(
    backend: LocalBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, read = os.pwritev, os.preadv
    monkeypatch.setattr(os, "pwritev", lambda fd, views, offset: write(fd, [views[0][:70_001]], offset))
    monkeypatch.setattr(os, "preadv", lambda fd, views, offset: read(fd, [views[0][:70_003]], offset))
    put(backend, "a", LARGE[:100], LARGE[100:300_000])
    assert get(backend, "a") == LARGE[:300_000]


def test_a_file_that_shrinks_while_it_is_read_is_an_error(backend: LocalBackend) -> None:
    put(backend, "a", LARGE)

    def shrink(size: int) -> tuple[bytearray, ...]:
        os.truncate(backend.root / "a", 1000)
        return (bytearray(size),)

    (item,) = backend.read([Read("a", shrink)])
    assert isinstance(item.error, errors.LocalFileError)
    assert "shrank" in str(item.error)


def test_what_a_killed_writer_left_is_removed_after_a_day(backend: LocalBackend) -> None:
    put(backend, "a", b"1")
    old, young = (backend.root / PARTIAL / name for name in ("old", "young"))
    old.write_bytes(b"x")
    young.write_bytes(b"x")
    os.utime(old, (0, old.stat().st_mtime - STALE - 60))
    put(LocalBackend(backend.root), "b", b"2")
    assert (old.exists(), young.exists()) == (False, True)
    assert names(backend) == ["a", "b"]


def test_without_hard_links_the_lock_keeps_what_is_there(
    backend: LocalBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(*arguments: Any, **keywords: Any) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", none)
    put(backend, "a/b", b"first", if_none_match=True)
    with pytest.raises(errors.Modified):
        put(backend, "a/b", b"second", if_none_match=True)
    assert get(backend, "a/b") == b"first"


def test_files_of_others_are_no_objects(backend: LocalBackend) -> None:
    put(backend, "a/b", b"1")
    (backend.root / ".hidden").write_bytes(b"x")
    (backend.root / "line\nbreak").write_bytes(b"x")
    (backend.root / os.fsdecode(b"\xff")).write_bytes(b"x")
    (backend.root / "dangling").symlink_to("nowhere")
    os.mkfifo(backend.root / "pipe")
    assert names(backend) == ["a/b"]
    assert list(backend.found(["dangling", "pipe"])) == [("dangling", None), ("pipe", None)]
    with pytest.raises(errors.NotFound):
        get(backend, "pipe")


def test_a_root_that_is_a_file_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    with pytest.raises(errors.LocalFileError, match="cannot write"):
        put(LocalBackend(tmp_path / "file"), "a", b"1")


def test_reading_makes_nothing(backend: LocalBackend) -> None:
    assert names(backend) == []
    backend.delete(["a"])
    assert not backend.root.exists()


def test_an_etag_is_new_even_within_one_tick_of_the_clock(backend: LocalBackend) -> None:
    seen = set()
    for _ in range(200):
        seen.add(put(LocalBackend(backend.root, durable=False), "a", b"x", if_none_match=True).etag)
        backend.delete(["a"])
    assert len(seen) == 200


def _create(root: Path, number: int, wins: Any) -> None:
    backend = LocalBackend(root, durable=False)
    for turn in range(50):
        try:
            put(backend, f"tags/{turn}", str(number).encode(), if_none_match=True)
            wins.put((turn, number))
        except errors.Modified:
            pass
    wins.put(None)


def test_of_several_processes_one_creates_a_name(backend: LocalBackend) -> None:
    context = multiprocessing.get_context("spawn")
    wins = context.Queue()
    workers = [context.Process(target=_create, args=(backend.root, number, wins)) for number in range(3)]
    for worker in workers:
        worker.start()
    won: dict[int, int] = {}
    for _ in workers:
        while (win := wins.get(timeout=60)) is not None:
            assert win[0] not in won
            won[win[0]] = win[1]
    for worker in workers:
        worker.join()
    assert {turn: int(get(backend, f"tags/{turn}")) for turn in range(50)} == won


@pytest.mark.parametrize(
    ("url", "path"),
    [("file:///a/b", "/a/b"), ("file://localhost/a/b/", "/a/b"), ("file:///my%20store/%C3%BC", "/my store/ü")],
)
def test_a_file_url_names_a_directory(url: str, path: str) -> None:
    assert LocalBackend.from_url(url).root == Path(path)


@pytest.mark.parametrize(
    "url", ["/a", "a", "file:a", "file://server/a", "file:///a?b", "file:///a#b", "file:///%00", "s3://a/b", "file://"]
)
def test_other_urls_name_none(url: str) -> None:
    with pytest.raises(errors.ConfigurationError, match="file:///data/store"):
        LocalBackend.from_url(url)


def test_it_pickles_and_shows_what_it_is(backend: LocalBackend) -> None:
    put(backend, "a", b"1")
    again = pickle.loads(pickle.dumps(backend))
    assert get(again, "a") == b"1"
    assert repr(again) == f"<LocalBackend {backend.root}>"


def test_no_file_stays_open_when_the_caller_stops(backend: LocalBackend) -> None:
    put(backend, "a", LARGE)
    room = bytearray(len(LARGE))
    before = len(list(Path("/proc/self/fd").iterdir()))
    results = backend.read(Read("a", lambda size: (room,)) for _ in range(100))
    assert next(results).error is None
    results.close()
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_nothing_goes_on_when_the_caller_stops(backend: LocalBackend) -> None:
    before = threading.active_count()
    results = backend.write(Write(f"n/{number}", (LARGE,)) for number in range(100))
    assert next(results).error is None
    results.close()
    assert threading.active_count() == before
    assert 1 <= len(names(backend)) < 100
    assert list((backend.root / PARTIAL).iterdir()) == []


def test_a_child_that_is_forked_under_the_lock_does_not_keep_it(backend: LocalBackend) -> None:
    put(backend, "a", b"1")
    read, write = os.pipe()
    with backend._locked():
        child = os.fork()
        if child == 0:
            os.close(write)
            os.read(read, 1)  # until the parent has closed it
            os._exit(0)
    try:
        held = threading.Thread(target=put, args=(backend, "a", b"2"), daemon=True)
        held.start()
        held.join(10)
        assert not held.is_alive()
    finally:
        os.close(write)
        os.close(read)
        os.waitpid(child, 0)
    assert get(backend, "a") == b"2"
