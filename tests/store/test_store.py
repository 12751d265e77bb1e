"""ArtifactStore, in a directory and on every server: what a user asks of it, and what it says."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import random
import re
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from fastdatastore import ArtifactStore, AsyncArtifactStore, errors
from fastdatastore.store.backends.base import Write
from fastdatastore.testing.servers import RunningServer
from tests.store.stores import Open, in_bucket, in_directory

MIB = 1 << 20
RANDOM = random.Random(31).randbytes(20 * MIB)
NOWHERE = "b3:" + "0" * 64

FRAME = pd.DataFrame({"x": np.arange(300_000) * 1.5, "name": pd.Series([f"row {n % 7}" for n in range(300_000)])})

OBJECTS = {
    "None": None,
    "an empty dict": {},
    "a dict": {"epoch": 7, "loss": [0.5, 0.25], "name": "ünï"},
    "no bytes": b"",
    "some bytes": b"abc",
    "many bytes": RANDOM,
    "text": "x" * (2 * MIB),
    "an array": np.arange(1_000_000, dtype="float64").reshape(1000, 1000),
    "a small array": np.arange(10),
    "a dict of arrays": {"w": np.zeros((500, 500)), "b": np.arange(70_000, dtype="int32")},
    "a table": pa.table({"a": pa.array(range(400_000)), "b": pa.array(["x", "y"] * 200_000)}),
    "a frame": FRAME,
    "a series": FRAME["x"],
    "an exception": ValueError("not raised"),
}


def same(one: Any, other: Any) -> bool:
    if type(one) is not type(other):
        return False
    if isinstance(one, pd.DataFrame | pd.Series | pa.Table):
        return bool(one.equals(other))
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and np.array_equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    return repr(one) == repr(other) if isinstance(one, Exception) else bool(one == other)


class Stores:
    """What any store does; subclasses give the fixture `opened`."""

    @pytest.fixture
    def store(self, opened: Open) -> Iterator[ArtifactStore]:
        with opened() as made:
            yield made

    # ---- put and get ----

    @pytest.mark.parametrize("what", OBJECTS)
    def test_an_object_comes_back_as_it_was(self, store: ArtifactStore, opened: Open, what: str) -> None:
        ref = store.put(OBJECTS[what])
        assert ref.startswith("b3:")
        assert same(opened().get(ref), OBJECTS[what])

    def test_many_objects_come_back_in_order_and_twice_if_asked_for_twice(
        self, store: ArtifactStore, opened: Open
    ) -> None:
        refs = store.put_many(OBJECTS.values())
        assert refs == [store.prepare(obj).ref for obj in OBJECTS.values()]
        wanted = [*refs, *reversed(refs)]
        found = opened().get_many(wanted)
        expected = [*OBJECTS.values(), *reversed(OBJECTS.values())]
        assert all(same(one, other) for one, other in zip(found, expected, strict=True))
        assert found[7] is not found[-8]
        found[7][:] = 0
        assert same(found[-8], OBJECTS["an array"])

    def test_hundreds_of_small_objects(self, store: ArtifactStore) -> None:
        refs = store.put_many({"n": n} for n in range(700))
        assert len(set(refs)) == 700
        assert store.get_many(refs) == [{"n": n} for n in range(700)]
        assert {entry.ref for entry in store.list()} == set(refs)

    def test_the_same_object_is_stored_once(self, store: ArtifactStore) -> None:
        refs = store.put_many([RANDOM, bytes(RANDOM), {"a": 1}, {"a": 1}])
        assert refs[0] == refs[1] == store.put(RANDOM)
        assert refs[2] == refs[3]
        assert len(list(store.list())) == 2

    @pytest.mark.parametrize("left", [b"damaged", b"", b"F", bytes(100_000)], ids=["other", "none", "one", "zeros"])
    @pytest.mark.parametrize("obj", [RANDOM, bytes(100_000)], ids=["in chunks", "inline"])
    def test_what_was_damaged_or_lost_is_mended_by_a_rewrite(
        self, store: ArtifactStore, obj: bytes, left: bytes
    ) -> None:
        ref = store.put(obj)
        backend = store._backend
        damaged, *lost = [e.name for e in backend.list("chunks/")] or [e.name for e in backend.list("artifacts/")]
        assert [write.error for write in backend.write([Write(damaged, (left,))])] == [None]
        backend.delete(lost)
        store.put(obj)  # is there, as far as anybody knows who does not read it
        with pytest.raises(errors.CorruptArtifact, match=r"with rewrite=True") as caught:
            store.get(ref)
        assert caught.value.ref == ref
        assert {finding.ref for finding in store.verify()} == {ref}
        assert store.put(obj, rewrite=True) == ref
        assert store.get(ref) == obj
        assert [*store.verify()] == []

    def test_what_is_prepared_is_committed_to_any_store(self, store: ArtifactStore, tmp_path: Path) -> None:
        prepared = store.prepare(OBJECTS["an array"])
        assert prepared.length == 8_000_000
        assert prepared.ref in repr(prepared)
        elsewhere = ArtifactStore((tmp_path / "elsewhere").as_uri())
        assert elsewhere.commit(prepared) == store.commit(prepared) == store.put(prepared) == prepared.ref
        assert same(elsewhere.get(prepared.ref), OBJECTS["an array"])

    def test_to_prepare_asks_nobody(self, opened: Open) -> None:
        store = opened()
        store.prepare({"a": 1})
        assert "not looked at yet" in repr(store)
        with pytest.raises(errors.StoreNotFound):
            store.get(NOWHERE)

    def test_what_comes_back_is_private_and_writable_or_read_only(self, store: ArtifactStore) -> None:
        array = np.arange(300_000)
        ref = store.put(array)
        first, second = store.get(ref), store.get(ref)
        first[:] = 7
        assert (second == array).all()
        assert first.ctypes.data % 64 == 0
        assert not store.get(ref, readonly=True).flags.writeable

    def test_a_pickle_is_refused_before_it_is_fetched(self, store: ArtifactStore) -> None:
        refs = store.put_many([{"a": 1}, OBJECTS["a dict of arrays"], np.arange(3)])
        for ref in refs[:2]:
            with pytest.raises(errors.UntrustedPickle):
                store.get(ref, allow_pickle=False)
        assert (store.get(refs[2], allow_pickle=False) == np.arange(3)).all()
        found = store.get_many(refs, allow_pickle=False, return_errors=True)
        assert [type(each).__name__ for each in found] == ["UntrustedPickle", "UntrustedPickle", "ndarray"]
        assert refs[1] in "".join(found[1].__notes__)

    def test_more_than_max_bytes_is_refused(self, store: ArtifactStore) -> None:
        ref = store.put(RANDOM)
        with pytest.raises(errors.ArtifactTooLarge, match=f"{len(RANDOM):,}"):
            store.get(ref, max_bytes=len(RANDOM) - 1)
        assert store.get(ref, max_bytes=len(RANDOM)) == RANDOM

    def test_an_object_that_cannot_be_pickled_is_named_and_stops_no_other(self, store: ArtifactStore) -> None:
        bad = {"model": [threading.Lock()]}
        with pytest.raises(errors.SerializationError, match=r"\['model'\]\[0\]"):
            store.put(bad)
        first, error, last = store.put_many([b"1", bad, b"3"], return_errors=True)
        assert isinstance(error, errors.SerializationError)
        assert store.get_many([first, last]) == [b"1", b"3"]
        with pytest.raises(errors.SerializationError):
            store.put_many([b"1", bad, b"3"])

    def test_what_is_not_there_is_not_found(self, store: ArtifactStore) -> None:
        ref = store.put(b"there")
        with pytest.raises(errors.ArtifactNotFound, match=NOWHERE):
            store.get(NOWHERE)
        with pytest.raises(errors.ArtifactNotFound):
            store.get_many([ref, NOWHERE])
        found = store.get_many([ref, NOWHERE, ref], return_errors=True)
        assert isinstance(found[1], errors.ArtifactNotFound)
        assert (found[0], found[2]) == (b"there", b"there")
        with pytest.raises(errors.ArtifactNotFound):
            store.stat(NOWHERE)

    # ---- arguments ----

    @pytest.mark.parametrize(
        "wrong", ["", "b3:", "b3:" + "g" * 64, "sha1:" + "0" * 40, "0" * 64, None, 7, "b3:../../x"]
    )
    def test_what_is_no_ref_is_refused(self, store: ArtifactStore, wrong: Any) -> None:
        store.put(1)
        for verb in (store.get, store.stat, store.delete):
            with pytest.raises(errors.InvalidRef):
                verb(wrong)
        with pytest.raises(errors.InvalidRef):
            store.get_many([wrong])
        with pytest.raises(errors.InvalidRef):
            store.tag("name", wrong)

    def test_one_where_several_are_taken_is_refused(self, store: ArtifactStore) -> None:
        for wrong in ("text", b"bytes", {"a": 1}, FRAME, 7, None):
            with pytest.raises(errors.ConfigurationError, match="several"):
                store.put_many(wrong)  # type: ignore[arg-type]
        with pytest.raises(errors.ConfigurationError, match="several"):
            store.get_many(NOWHERE)
        assert store.put_many([]) == store.get_many([]) == []

    @pytest.mark.parametrize("wrong", [-1, 1.5, "1", True])
    def test_no_number_of_bytes_is_no_bound(self, store: ArtifactStore, wrong: Any) -> None:
        ref = store.put(1)
        with pytest.raises(errors.ConfigurationError, match="max_bytes"):
            store.get(ref, max_bytes=wrong)

    def test_what_was_not_prepared_is_not_committed(self, store: ArtifactStore) -> None:
        with pytest.raises(TypeError, match="prepare"):
            store.commit(b"x")  # type: ignore[arg-type]

    def test_a_closed_store_says_so(self, store: ArtifactStore) -> None:
        ref = store.put(1)
        store.close()
        assert "closed" in repr(store)
        for call in (lambda: store.put(1), lambda: store.get(ref), lambda: store.prepare(1), store.list, store.verify):
            with pytest.raises(errors.ConfigurationError, match="closed"):
                call()

    # ---- tags, delete ----

    def test_tags_name_artifacts(self, store: ArtifactStore) -> None:
        one, two = store.put_many([1, 2])
        store.tag("models/latest", one)
        store.tag("ünï", two)
        assert store.resolve("models/latest") == one
        assert store.tags() == {"models/latest": one, "ünï": two}
        store.tag("models/latest", two, expected=one)
        with pytest.raises(errors.TagConflict):
            store.tag("models/latest", one, expected=one)
        with pytest.raises(errors.TagConflict):
            store.tag("models/latest", one, expected=None)
        store.tag("new", one, expected=None)
        store.delete_tag("new")
        with pytest.raises(errors.TagNotFound):
            store.resolve("new")
        with pytest.raises(errors.ArtifactNotFound):
            store.tag("nothing", NOWHERE)
        with pytest.raises(errors.InvalidKey):
            store.tag("../x", one)

    def test_a_tagged_artifact_is_not_deleted(self, store: ArtifactStore) -> None:
        ref = store.put(RANDOM)
        store.tag("keep", ref)
        with pytest.raises(errors.ArtifactTagged):
            store.delete(ref)
        assert store.get(ref) == RANDOM
        store.delete_tag("keep")
        store.delete(ref)
        store.delete(ref)
        with pytest.raises(errors.ArtifactNotFound):
            store.get(ref)
        assert list(store.list()) == []

    # ---- what is there ----

    def test_stat_tells_all_without_loading(self, store: ArtifactStore) -> None:
        began = datetime.now(UTC) - timedelta(minutes=1)
        found = store.stat(store.put(FRAME))
        assert found.type == "pandas.DataFrame"
        assert found.shape == (300_000, 2)
        assert found.schema is not None
        assert [name for name, _ in found.schema] == ["x", "name"]
        assert found.schema[0] == ("x", "float64")
        assert found.size > 300_000 * 8
        assert found.chunks >= 3
        assert sum(found.codecs.values()) == found.unique_chunks
        assert not found.missing_chunks
        assert not found.inline
        assert found.stored_size is not None
        assert found.ratio == found.size / found.stored_size
        assert found.created is not None
        assert began < found.created < datetime.now(UTC) + timedelta(minutes=1)

    def test_stat_of_an_array_and_of_a_small_object(self, store: ArtifactStore) -> None:
        array, small = (store.stat(ref) for ref in store.put_many([OBJECTS["an array"], {"a": 1}]))
        assert (array.type, array.shape, array.dtype) == ("numpy.ndarray", (1000, 1000), "float64")
        assert array.size == 8_000_000
        assert (small.type, small.inline, small.chunks) == ("dict", True, 1)
        assert (small.shape, small.schema, small.dtype) == (None, None, None)

    def test_stat_tells_of_chunks_that_are_missing(self, store: ArtifactStore) -> None:
        ref = store.put(FRAME)
        store._backend.delete([entry.name for entry in store._backend.list("chunks/")])
        found = store.stat(ref)
        assert found.missing_chunks == found.unique_chunks >= 3
        assert (found.type, found.shape, found.schema, found.codecs) == ("pandas.DataFrame", FRAME.shape, None, {})
        with pytest.raises(errors.CorruptArtifact, match="missing"):
            store.get(ref)

    def test_how_much_is_stored_is_what_is_stored(self, opened: Open) -> None:
        for compression, codec in (("none", "raw"), (1, "zstd")):
            store = opened(compression=compression)
            array = np.arange(2_000_000) + (compression == 1)
            found = store.stat(store.put(array))
            assert found.codecs == {codec: found.chunks}
            assert (found.ratio > 1.5) == (codec == "zstd")
            assert same(store.get(found.ref), array)

    def test_artifacts_are_listed(self, store: ArtifactStore) -> None:
        refs = store.put_many([{"a": 1}, FRAME, b"abc"])
        assert {entry.ref for entry in store.list()} == set(refs)
        types = {entry.ref: entry.type for entry in store.list(details=True)}
        assert types == dict(zip(refs, ["dict", "pandas.DataFrame", "bytes"], strict=True))
        sizes = {entry.ref: entry.size for entry in store.list(details=True)}
        assert sizes[refs[2]] == 3

    def test_verify_says_what_it_looked_at_and_what_is_missing(self, store: ArtifactStore) -> None:
        ref, other = store.put_many([OBJECTS["an array"], RANDOM])
        assert list(store.verify()) == []
        assert list(store.verify([ref])) == []
        (missing,) = store.verify([ref, NOWHERE])
        assert (missing.ref, str(missing.fault)) == (NOWHERE, "missing")
        with pytest.raises(errors.InvalidRef):
            store.verify(["x"])
        steps: list[str] = []
        looked: list[Any] = []

        def drawn() -> Iterator[Any]:
            looked.append((yield from store.verify([other], progress=steps.append)))

        assert list(drawn()) == []
        assert looked[0].artifacts.size == len(RANDOM)
        assert steps

    @pytest.mark.parametrize(
        "wrong", [{"grace": 60}, {"grace": -1}, {"grace": "1d"}, {"older_than": 90_000}, {"grace": float("inf")}]
    )
    def test_gc_refuses_what_cannot_be(self, store: ArtifactStore, wrong: dict[str, Any]) -> None:
        store.put(1)
        with pytest.raises(errors.ConfigurationError):
            store.gc(**wrong)

    def test_garbage_is_collected(self, store: ArtifactStore) -> None:
        kept, gone = store.put_many([OBJECTS["an array"], RANDOM])
        store.delete(gone)
        steps: list[str] = []
        report = store.gc(grace=timedelta(hours=3), dry_run=True, progress=steps.append)
        assert (report.dry_run, report.artifacts.count, report.deleted_chunks.count) == (True, 1, 0)
        assert steps
        report = store.gc(exclusive=True)
        assert report.deleted_chunks.size >= len(RANDOM)
        assert same(store.get(kept), OBJECTS["an array"])
        assert store.get(store.put(RANDOM)) == RANDOM

    # ---- shown, pickled, shared ----

    def test_it_shows_where_it_is_and_how_it_stands(self, store: ArtifactStore) -> None:
        assert store.url in repr(store)
        assert "not looked at yet | calls under way: 0" in repr(store)
        store.put(1)
        assert re.search(r"\| id [0-9a-f]{32} \| calls under way: 0>$", repr(store))
        entries = store.list()
        next(entries)
        assert "calls under way: 1" in repr(store)
        entries.close()
        assert "calls under way: 0" in repr(store)

    def test_it_pickles_as_configuration(self, store: ArtifactStore, opened: Open) -> None:
        ref = store.put(FRAME)
        for kind in (store, opened(compression=3)):
            copy = pickle.loads(pickle.dumps(kind))
            assert copy.url == store.url
            assert copy._compression == kind._compression
            assert same(copy.get(ref), FRAME)

    def test_threads_share_it(self, store: ArtifactStore) -> None:
        arrays = [np.full(300_000, n) for n in range(6)]
        with ThreadPoolExecutor(8) as pool:
            refs = list(pool.map(store.put, arrays * 3))
            assert refs[:6] == refs[6:12] == refs[12:]
            assert all(map(same, pool.map(store.get, refs), arrays * 3))

    @pytest.mark.parametrize("method", ["fork", "spawn"])
    def test_it_goes_to_the_processes_of_a_pool(self, store: ArtifactStore, method: str) -> None:
        refs = store.put_many([FRAME, RANDOM, {"a": 1}])
        with ProcessPoolExecutor(2, multiprocessing.get_context(method)) as pool:
            assert list(pool.map(_put_again, [store] * 3, refs)) == refs
        assert same(store.get(refs[0]), FRAME)

    def test_it_works_on_in_a_forked_child(self, store: ArtifactStore) -> None:
        ref = store.put(RANDOM)
        child = os.fork()
        if not child:
            code = 1
            try:
                assert store.get(ref) == RANDOM
                assert store.get(store.put({"a": RANDOM[: 3 * MIB]})) == {"a": RANDOM[: 3 * MIB]}
                code = 0
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert store.get(ref) == RANDOM


def _put_again(store: ArtifactStore, ref: str) -> str:
    return store.put(store.get(ref))


@pytest.mark.parametrize("kind", [ArtifactStore, AsyncArtifactStore])
def test_a_call_without_a_url_is_told_whose(kind: Any) -> None:
    with pytest.raises(TypeError, match=rf"^{kind.__name__}\.__init__\(\) missing 1 .* 'url'$"):
        kind()


class TestInADirectory(Stores):
    @pytest.fixture
    def opened(self, tmp_path: Path) -> Open:
        return in_directory(tmp_path)


class TestInABucket(Stores):
    @pytest.fixture
    def opened(self, s3_server: RunningServer, bucket: str) -> Open:
        return in_bucket(s3_server, bucket)
