"""put_many: whatever is put can be read, has the ref that the format gives it, and is sent once."""

from __future__ import annotations

import os
import random
import threading
import tracemalloc
import weakref
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fastdatastore import errors
from fastdatastore.store import manifest, ref
from fastdatastore.store.backends.base import Backend
from fastdatastore.store.backends.local import LocalBackend
from fastdatastore.store.cancel import Cancel, Cancelled
from fastdatastore.store.collection.lease import Lease
from fastdatastore.store.digest import digest
from fastdatastore.store.frame import Codec
from fastdatastore.store.layout import lay_out
from fastdatastore.store.manifest import Manifest
from fastdatastore.store.put import serializing
from fastdatastore.store.put.many import put_many
from fastdatastore.store.put.outline import Prepared, prepare
from fastdatastore.store.serializers import registry
from tests.store import formats
from tests.store.put.stored import artifacts, chunks, codecs, load

MIB = 1 << 20
NOISE = np.random.default_rng(5).integers(0, 1 << 63, 5 * MIB, dtype=np.int64)  # 40 MiB
WORDS = [f"word {n} " * 12 for n in range(300_000)]  # a pickle of about 36 MiB


WHERE: ContextVar[str] = ContextVar("WHERE", default="nowhere")


class Somewhere:
    def __reduce__(self) -> Any:
        return str, (WHERE.get(),)


class Leaves:
    def __reduce__(self) -> Any:
        raise SystemExit


@pytest.fixture
def backend(tmp_path: Path) -> Backend:
    return LocalBackend(tmp_path / "store", durable=False)


@pytest.fixture(autouse=True)
def no_threads_are_left() -> Iterator[None]:
    yield
    own = {"fastdatastore-portable"}  # the loop of the portable plane is the process's
    names = {thread.name for thread in threading.enumerate() if thread.name.startswith("fastdatastore-")}
    assert names <= own


def put(backend: Backend, *objects: object, **options: Any) -> list[str]:
    """The refs, in order. Raises the first error."""
    found = dict(put_many(backend, objects, lease=Lease(backend), **options))
    assert sorted(found) == list(range(len(objects)))
    for index in sorted(found):
        if isinstance(error := found[index], Exception):
            raise error
    return [str(found[index]) for index in range(len(objects))]


def ref_by_the_format(obj: object) -> str:
    """From what the serializer's dump() gives, at once and in one thread."""
    dumped = registry.dump(obj)
    layout = lay_out(dumped.buffers)
    segments = formats.manifest_of(layout).segments
    made = Manifest(dumped.serializer, dumped.version, dumped.header, layout.buffers, segments)
    return ref.of(digest(manifest.encode(made)))


def same(one: Any, other: Any) -> bool:
    if isinstance(one, np.ndarray):
        return type(other) is np.ndarray and one.dtype == other.dtype and np.array_equal(one, other)
    if isinstance(one, dict) and any(isinstance(value, np.ndarray) for value in one.values()):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, pd.DataFrame):
        return bool(one.equals(other))
    return bool(one == other)


OBJECTS: dict[str, Callable[[], Any]] = {
    "a small dict": lambda: {"a": [1, 2.5, "three"]},
    "nothing": lambda: None,
    "no bytes": lambda: b"",
    "an empty array": lambda: np.zeros((0, 3)),
    "as much as goes inline": lambda: NOISE[: MIB // 8].tobytes(),
    "one byte more": lambda: NOISE[: MIB // 8].tobytes() + b"x",
    "text that is compressed inline": lambda: WORDS[:1000],
    "a large array": lambda: NOISE,
    "an array in Fortran order": lambda: np.asfortranarray(NOISE[: 4 * MIB].reshape(2048, -1)),
    "a dict of arrays, large and small": lambda: {str(n): NOISE[: n * 9000] for n in range(40)},
    "small buffers of several chunks": lambda: {str(n): NOISE[n : n + 100_000] for n in range(40)},
    "a frame": lambda: pd.DataFrame({"n": np.arange(400_000), "x": NOISE[:400_000] / 3, "s": WORDS[:1000] * 400}),
    "a large pickle": lambda: WORDS,
    "a large pickle with bytes in it": lambda: [WORDS[:100_000], NOISE.tobytes(), WORDS[100_000:200_000], b"end"],
    "a large pickle that ends in a lambda": lambda: [WORDS, lambda: 1],
}


@pytest.mark.parametrize("compression", ["auto", "none", 1])
@pytest.mark.parametrize("name", OBJECTS)
def test_any_object_can_be_read_and_has_the_ref_that_the_format_gives(
    backend: Backend, name: str, compression: Any
) -> None:
    obj = OBJECTS[name]()
    (stored,) = put(backend, obj, compression=compression)
    assert stored == prepare(obj).ref == ref_by_the_format(obj)
    back = load(backend, stored)
    assert same(obj, back) or back[1]() == 1
    assert artifacts(backend) == [stored]


def test_objects_of_all_kinds_in_one_call(backend: Backend) -> None:
    objects = [make() for make in OBJECTS.values()]
    stored = put(backend, *objects, *objects[:5])
    assert stored == [prepare(obj).ref for obj in (*objects, *objects[:5])]
    assert sorted(set(stored)) == sorted(artifacts(backend))


@pytest.mark.parametrize("compression", ["auto", "none", 1])
def test_the_least_memory_is_enough(backend: Backend, compression: Any) -> None:
    objects = [make() for make in OBJECTS.values()]
    assert put(backend, *objects, compression=compression, memory=1) == [prepare(obj).ref for obj in objects]
    artifacts(backend)


@pytest.mark.parametrize("name", ["a large array", "a large pickle", "a large pickle that ends in a lambda"])
def test_what_is_too_large_to_be_hashed_ahead_goes_while_it_is_hashed(
    backend: Backend, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serializing, "LEAD", 9 * MIB)
    obj = OBJECTS[name]()
    for _ in range(2):
        assert put(backend, obj) == [prepare(obj).ref]
    assert artifacts(backend) == [prepare(obj).ref]


def test_what_is_prepared_can_be_committed_to_several_stores(tmp_path: Path) -> None:
    prepared = prepare({"large": NOISE, "words": WORDS})
    assert isinstance(prepared, Prepared)
    assert repr(prepared).startswith(f"<Prepared {prepared.ref} [pickle5 | ")
    for name in ("one", "two"):
        backend = LocalBackend(tmp_path / name, durable=False)
        assert put(backend, prepared, prepared) == [prepared.ref] * 2
        assert same(load(backend, prepared.ref), {"large": NOISE, "words": WORDS})


def test_nothing_is_put_where_there_is_nothing(backend: Backend) -> None:
    assert put(backend) == []
    assert artifacts(backend) == []


def test_a_small_artifact_is_one_object_and_a_large_one_its_chunks_and_one(backend: Backend) -> None:
    put(backend, {"a": 1}, NOISE[: MIB // 8])
    assert chunks(backend) == []
    put(backend, NOISE)
    assert len(chunks(backend)) == len(list(lay_out(registry.dump(NOISE).buffers).segments[0].cut()))


# ---- one fails ----


class Unpicklable:
    def __reduce__(self) -> Any:
        raise RuntimeError("not today")


def test_an_object_that_cannot_be_serialized_stops_no_other(backend: Backend) -> None:
    results = dict(put_many(backend, [1, Unpicklable(), NOISE, [WORDS, Unpicklable()], 2], lease=Lease(backend)))
    assert [type(results[index]) for index in range(5)] == [
        str,
        errors.SerializationError,
        str,
        errors.SerializationError,
        str,
    ]
    assert sorted(artifacts(backend)) == sorted(str(results[index]) for index in (0, 2, 4))


def test_what_the_callers_iterable_raises_ends_the_call(backend: Backend) -> None:
    def objects() -> Iterator[object]:
        yield NOISE
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        list(put_many(backend, objects(), lease=Lease(backend)))
    artifacts(backend)


def test_a_setting_that_is_none_is_refused(backend: Backend) -> None:
    for setting in ("zstd", 23, -8, True, None, 1.0):
        with pytest.raises(errors.ConfigurationError, match="compression is"):
            put(backend, 1, compression=setting)


# ---- its end ----


def test_objects_are_drawn_as_there_is_room(backend: Backend) -> None:
    drawn = 0

    def objects() -> Iterator[object]:
        nonlocal drawn
        while True:
            drawn += 1
            yield NOISE + drawn

    results = put_many(backend, objects(), lease=Lease(backend))
    next(results)
    results.close()
    assert drawn < 70
    artifacts(backend)


def test_an_object_is_let_go_when_it_is_stored(backend: Backend) -> None:
    made: list[weakref.ref[Any]] = []
    most = 0

    def objects() -> Iterator[object]:
        nonlocal most
        for n in range(10):
            obj = NOISE[: MIB + n].copy()
            made.append(weakref.ref(obj))
            yield obj
            del obj
            most = max(most, sum(each() is not None for each in made))

    for _ in put_many(backend, objects(), lease=Lease(backend)):
        pass
    assert most < 10
    assert not any(each() is not None for each in made)


@pytest.mark.parametrize("obj", [NOISE, WORDS, [WORDS, Unpicklable()]], ids=["array", "pickle", "failure"])
def test_whoever_calls_it_off_is_rid_of_it(backend: Backend, obj: object) -> None:
    cancel = Cancel()

    def objects() -> Iterator[object]:
        yield obj
        cancel.set()
        yield obj

    with pytest.raises(Cancelled):
        list(put_many(backend, objects(), lease=Lease(backend), cancel=cancel))
    artifacts(backend)


# ---- memory ----


@pytest.mark.parametrize("compression", ["none", 1])
def test_what_is_copied_is_bounded(backend: Backend, compression: Any) -> None:
    """A pickle of 160 MiB, and as much in small buffers, in much less memory."""
    letters = random.Random(3).randbytes(20 * MIB).hex()  # which no shuffle makes much smaller than half
    words = [letters[start : start + 4000] for start in range(0, len(letters), 4000)]
    pickled = [[word + str(n) for word in words] for n in range(4)]
    small = {str(n): NOISE[n : n + 100_000] for n in range(200)}
    tracemalloc.start()
    try:
        put(backend, pickled, small, compression=compression, memory=32 * MIB)
        assert tracemalloc.get_traced_memory()[1] < 130 * MIB
    finally:
        tracemalloc.stop()


# ---- the same again ----


def test_old_manifests_are_spared_before_they_are_relied_upon(backend: Backend, tmp_path: Path) -> None:
    (stored,) = put(backend, NOISE)
    path = tmp_path / "store" / ref.artifact_name(ref.digest_of(stored))
    os.utime(path, (1e9, 1e9))
    lease = Lease(backend)
    assert dict(put_many(backend, [NOISE], lease=lease)) == {0: stored}
    assert "not looked" not in repr(lease)
    assert path.stat().st_mtime == 1e9


def test_young_ones_need_no_look_at_the_register(backend: Backend) -> None:
    put(backend, NOISE)
    lease = Lease(backend)
    list(put_many(backend, [NOISE], lease=lease))
    assert "not looked" in repr(lease)


def test_writers_of_the_same_content_do_not_mind_each_other(backend: Backend) -> None:
    refs: list[str] = []
    writers = [threading.Thread(target=lambda: refs.extend(put(backend, NOISE, WORDS, {"a": 1}))) for _ in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert len(refs) == 9
    assert sorted(set(refs)) == sorted(artifacts(backend))


# ---- compression ----


def test_a_level_compresses_what_shrinks(backend: Backend) -> None:
    numbers = np.arange(4 * MIB, dtype=np.int64)
    refs = put(backend, numbers, NOISE, compression=3)
    assert set(codecs(backend, refs[0])) == {Codec.SHUFFLED_ZSTD}
    assert set(codecs(backend, refs[1])) == {Codec.RAW}


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.recursive(
            st.none() | st.integers() | st.text() | st.binary(max_size=100_000),
            lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=5),
            max_leaves=20,
        ),
        max_size=20,
    )
)
def test_any_small_objects_come_back(backend: Backend, objects: list[Any]) -> None:
    for obj, stored in zip(objects, put(backend, *objects), strict=True):
        assert load(backend, stored) == obj
        assert stored == ref_by_the_format(obj)


# ---- objects that are changed ----


@pytest.mark.parametrize("compression", ["none", 1])
@pytest.mark.parametrize("size", [1000, 5 * MIB], ids=["inline", "in chunks"])
def test_what_was_changed_since_it_was_prepared_is_not_stored(backend: Backend, size: int, compression: Any) -> None:
    array = NOISE[:size].copy()
    prepared = prepare(array)
    array[size // 2] += 1  # one number
    with pytest.raises(errors.SerializationError, match="its memory was changed"):
        put(backend, prepared, compression=compression)
    assert artifacts(backend) == []
    array[size // 2] -= 1
    assert same(load(backend, put(backend, array)[0]), array)


@pytest.mark.parametrize("compression", ["none", 1])
@pytest.mark.parametrize("size", [1000, 3 * MIB], ids=["inline", "in chunks"])
def test_an_array_that_is_filled_again_and_again_is_not_stored_wrong(
    backend: Backend, size: int, compression: Any
) -> None:
    array = np.empty(size, np.int64)

    def objects() -> Iterator[object]:
        for number in range(8):
            array[:] = NOISE[number : number + size]
            yield array

    found = dict(put_many(backend, objects(), lease=Lease(backend), compression=compression))
    for number in range(8):
        outcome = found[number]
        if isinstance(outcome, str):
            assert same(load(backend, outcome), NOISE[number : number + size])
        else:
            with pytest.raises(errors.SerializationError, match="make a new array each time"):
                raise outcome


def test_an_object_is_pickled_in_the_callers_context(backend: Backend) -> None:
    token = WHERE.set("here")
    try:
        assert load(backend, put(backend, Somewhere())[0]) == "here"
    finally:
        WHERE.reset(token)


def test_an_object_that_leaves_the_program_while_it_is_pickled_does_so(backend: Backend) -> None:
    with pytest.raises(SystemExit):
        put(backend, Leaves())
    assert artifacts(backend) == []
