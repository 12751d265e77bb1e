"""What a result gives: views, arrays, text, files, pickles; in memory up to the ceiling, beyond it in files."""

from __future__ import annotations

import gc
import io
import os
import pickle
import random
import subprocess
import sys
import weakref
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from fastdatastore import S3, S3GetObject
from fastdatastore.config import MIB
from fastdatastore.engine import process
from fastdatastore.engine.client import Client
from fastdatastore.errors import ConfigurationError, LocalFileError
from fastdatastore.testing.servers import RunningServer
from tests.support.clients import client_at, client_of, s3_of
from tests.support.scripted_server import ScriptedServer, StoredObject

pytestmark = pytest.mark.servers("null", "seaweedfs")

LARGE = random.Random(8).randbytes(9 * MIB)


@pytest.fixture
def tight(s3_server: RunningServer, bucket: str, tmp_path: Path) -> Iterator[S3]:
    """A client with room for 20 MiB of results; five objects of 9 MiB are there."""
    gc.collect()
    room = (process.result_memory().held + 20 * MIB) * 4 // 3  # a quarter is for what is on the way
    with s3_of(client_of(s3_server, memory_ceiling=room), bucket, tmp_path) as made:
        made.put_many([(f"large/{i}", LARGE) for i in range(5)])
        yield made


def _spilled(tmp_path: Path) -> int:
    return sum(path.is_file() for path in tmp_path.rglob("*"))


# ---- the ceiling ----


def test_results_of_earlier_calls_count_as_long_as_they_live(tight: S3, tmp_path: Path) -> None:
    held = [tight.get(f"large/{i}") for i in range(5)]
    assert _spilled(tmp_path) == 3
    assert all(o.blob == LARGE for o in held)
    held.clear()
    assert _spilled(tmp_path) == 0
    again = [tight.get("large/0"), tight.get("large/1")]
    assert _spilled(tmp_path) == 0
    assert all(o.blob == LARGE for o in again)


def test_a_view_that_is_kept_is_the_callers_and_counts_no_more(tight: S3, tmp_path: Path) -> None:
    views = [tight.get(f"large/{i}").view for i in range(5)]
    assert _spilled(tmp_path) == 0
    assert all(view == memoryview(LARGE) for view in views)


def test_a_spilled_result_whose_path_nobody_knows_takes_its_file_along(tight: S3, tmp_path: Path) -> None:
    known, unknown = tight.get_many(["large/0", "large/1", "large/2", "large/3"])[-2:]
    assert _spilled(tmp_path) == 2
    path = Path(known.path or "")
    view = unknown.view
    del known, unknown
    assert _spilled(tmp_path) == 1
    assert path.read_bytes() == LARGE
    assert view == memoryview(LARGE)  # mapped: it outlives the file's name


def test_failed_downloads_give_their_share_back(tmp_path: Path) -> None:
    before = process.result_memory().held
    with ScriptedServer(StoredObject(LARGE, headers={"x-amz-checksum-crc32": "AAAAAA=="}).get) as server:
        s3 = S3(str(tmp_path), s3root="s3://some-bucket", client=client_at(server.url))
        with pytest.raises(Exception, match="crc32"):
            s3.get("key")
    assert process.result_memory().held == before


def test_small_results_count_too(s3_server: RunningServer, bucket: str, tmp_path: Path) -> None:
    room = (process.result_memory().held + 100_000) * 4 // 3 + 1
    with s3_of(client_of(s3_server, memory_ceiling=room), bucket, tmp_path) as s3:
        s3.put_many([(str(i), LARGE[:20_000]) for i in range(10)])
        got = s3.get_many(map(str, range(10)))
        assert _spilled(tmp_path) == 5
        assert all(o.blob == LARGE[:20_000] for o in got)


# ---- views ----


def test_views_and_arrays_outlive_the_result_and_the_client(tight: S3) -> None:
    got = tight.get_many([f"large/{i}" for i in range(4)])
    arrays = [o.to_numpy() for o in got]
    del got
    tight.close()
    assert all(array.tobytes() == LARGE for array in arrays)


def test_after_close_what_was_in_a_file_is_a_clear_error(s3_server: RunningServer, bucket: str, tmp_path: Path) -> None:
    with s3_of(client_of(s3_server, memory_ceiling=1), bucket, tmp_path) as s3:
        s3.put("key", LARGE)
        got = s3.get("key")
    with pytest.raises(LocalFileError, match="closed"):
        _ = got.view


def test_numpy_sees_the_same_memory(s3: S3) -> None:
    s3.put("key", np.arange(300_000, dtype="<f8").data)
    got = s3.get("key")
    array = got.to_numpy("<f8")
    assert (array == np.arange(300_000)).all()
    assert not array.flags.writeable
    assert np.shares_memory(array, np.frombuffer(got.view or b"", "u1"))
    assert s3.get(S3GetObject("key", 8, 16)).to_numpy(np.float64).tolist() == [1.0, 2.0]


def test_arrow_sees_the_same_memory(s3: S3) -> None:
    table = pa.table({"x": list(range(200_000))})
    stream = io.BytesIO()
    with pa.ipc.new_file(stream, table.schema) as writer:
        writer.write_table(table)
    s3.put("key", stream)
    got = s3.get("key")
    buffer = got.to_arrow()
    assert buffer.address == np.frombuffer(got.view or b"", "u1").ctypes.data
    assert pa.ipc.open_file(buffer).read_all() == table


def test_an_empty_object_is_an_empty_array(s3: S3) -> None:
    s3.put("key", b"")
    got = s3.get("key")
    assert (got.to_numpy("f8").size, got.to_arrow().size, got.blob, got.text) == (0, 0, b"", "")
    assert Path(got.path or "").read_bytes() == b""


@pytest.mark.parametrize("dtype", ["f8", "O", "no such type"])
def test_a_dtype_that_does_not_fit_is_refused(s3: S3, dtype: str) -> None:
    s3.put("key", b"12345")
    with pytest.raises(ConfigurationError, match="dtype"):
        s3.get("key").to_numpy(dtype)


def test_what_was_not_downloaded_has_no_array(s3: S3) -> None:
    s3.put("key", b"12345")
    with pytest.raises(ConfigurationError, match="not downloaded"):
        s3.info("key").to_numpy()
    with pytest.raises(ConfigurationError, match="not downloaded"):
        s3.get("missing", return_missing=True).to_arrow()


@pytest.mark.parametrize(("module", "method"), [("numpy", "to_numpy"), ("pyarrow", "to_arrow")])
def test_a_package_that_is_not_installed_is_named(module: str, method: str) -> None:
    program = (
        f"import sys; sys.modules['{module}'] = None\n"
        "from fastdatastore import S3Object\n"
        f"S3Object(None, 's3://b/k', size=1, content=memoryview(b'x')).{method}()\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60)
    assert f"python -m pip install {module}" in done.stderr.splitlines()[-1]


# ---- the object itself ----


def test_results_are_equal_only_to_themselves_and_can_be_kept_in_sets(s3: S3) -> None:
    s3.put("key", b"x")
    one, two = s3.get("key"), s3.get("key")
    assert one != two
    assert len({one, two, one}) == 2
    assert weakref.ref(one)() is one


@pytest.mark.parametrize("content", [b"", b"x"])
def test_a_result_shows_what_it_is(s3: S3, bucket: str, content: bytes) -> None:
    s3.put("key", content)
    assert str(s3.get("key")) == f"<S3Object s3://{bucket}/key ({len(content)} bytes, local)>"
    assert repr(s3.info("key")) == f"<S3Object s3://{bucket}/key ({len(content)} bytes, not downloaded)>"
    missing = s3.get("missing", return_missing=True)
    assert str(missing) == f"<S3Object s3://{bucket}/missing (object does not exist)>"


@pytest.mark.parametrize("protocol", [2, pickle.HIGHEST_PROTOCOL])
def test_a_pickle_holds_the_bytes_and_what_is_known(tight: S3, tmp_path: Path, protocol: int) -> None:
    tight.put("small", b"small", metadata={"a": 1})
    got = [*tight.get_many([f"large/{i}" for i in range(3)]), tight.get("small"), tight.info("small")]
    pickled = pickle.dumps(got, protocol)
    tight.close()
    again = pickle.loads(pickled)
    assert [o.blob for o in again] == [LARGE, LARGE, LARGE, b"small", None]
    for before, after in zip(got, again, strict=True):
        assert (after.url, after.key, after.prefix, after.size) == (before.url, before.key, before.prefix, before.size)
        assert (after.metadata, after.range_info, after.last_modified, after.verified_by) == (
            before.metadata,
            before.range_info,
            before.last_modified,
            before.verified_by,
        )
    assert tmp_path in Path(again[3].path).parents
    assert Path(again[3].path).read_bytes() == b"small"


def test_a_pickle_of_a_file_of_the_callers_is_its_path(s3: S3, tmp_path: Path) -> None:
    s3.put("key", LARGE)
    got = s3.get_file("key", tmp_path / "out")
    pickled = pickle.dumps(got)
    assert len(pickled) < 10_000
    assert pickle.loads(pickled).blob == LARGE


def test_files_of_a_client_that_is_never_closed_go_with_the_process(tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "from fastdatastore.s3.files import ResultFiles\n"
        f"print(ResultFiles({os.fspath(tmp_path)!r}).write(memoryview(b'x')).read_bytes())\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "b'x'\n"
    assert list(tmp_path.iterdir()) == []


def test_a_forked_child_leaves_its_parents_spilled_files(tight: S3, tmp_path: Path) -> None:
    held = tight.get_many([f"large/{i}" for i in range(4)])
    pid = os.fork()
    if not pid:
        code = 1
        try:
            held.clear()
            gc.collect()
            code = 0
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert _spilled(tmp_path) == 2
    assert all(o.blob == LARGE for o in held)


def test_memory_of_results_goes_back_to_the_pool(s3: S3, client: Client) -> None:
    s3.put("key", LARGE)
    pool = process.buffer_pool(client.settings)
    gc.collect()
    before = pool.state()["in_use_bytes"]
    got = s3.get("key")
    assert pool.state()["in_use_bytes"] > before
    del got
    assert pool.state()["in_use_bytes"] == before
