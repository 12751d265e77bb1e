from __future__ import annotations

import collections
import datetime
import decimal
import io
import os
import pickle
import pickletools
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastdatastore.errors import SerializationError, UntrustedPickle
from fastdatastore.store.serializers import pickling, pieces, registry
from fastdatastore.store.serializers.base import BufferSpec
from fastdatastore.store.serializers.canonical_pickle import canonical
from tests.store.serializers.pickled import Model
from tests.support.serialized import fingerprint, load, round_trip, stored

ATOMS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary()
KEYS = st.integers() | st.text() | st.binary() | st.booleans()
OBJECTS = st.recursive(
    ATOMS | st.sets(KEYS) | st.frozensets(KEYS),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(KEYS, inner)
        | st.tuples(inner, inner)
        | st.builds(Model, st.text(), st.lists(inner))
    ),
    max_leaves=30,
)


def fresh(text: str) -> str:
    """An equal string that is another object."""
    return "".join(list(text))


@given(obj=OBJECTS)
@settings(max_examples=300, deadline=None)
def test_any_object_comes_back_equal(obj: Any) -> None:
    assert round_trip(obj) == obj


@given(obj=OBJECTS)
@settings(max_examples=300, deadline=None)
def test_what_comes_back_gives_the_same_bytes(obj: Any) -> None:
    assert fingerprint(round_trip(obj)) == fingerprint(obj)


@given(obj=OBJECTS, protocol=st.sampled_from([4, 5]))
@settings(max_examples=300, deadline=None)
def test_a_canonical_pickle_is_a_pickle_of_the_same_object(obj: Any, protocol: int) -> None:
    plain = pickle.dumps(obj, protocol)
    made = canonical(plain)
    assert pickle.loads(made) == obj
    assert canonical(made) == made
    pickletools.dis(made, out=io.StringIO())  # which checks stack and memo


def test_the_protocol_is_4() -> None:
    (spec,) = registry.dump({"a": 1}).buffers
    assert bytes(spec.view[:2]) == b"\x80\x04"


def test_equal_strings_give_the_same_bytes_whether_or_not_they_are_one_object() -> None:
    word = "a string of some length"
    assert fingerprint([word, word]) == fingerprint([fresh(word), fresh(word)])
    content = bytes(1000)
    assert fingerprint((content, content)) == fingerprint((bytes(1000), bytes(bytearray(1000))))
    one, other = Model("name"), Model(fresh("name"))
    assert fingerprint(one) == fingerprint(other)


def test_references_to_other_objects_are_kept() -> None:
    shared: list[Any] = ["x", fresh("x")]
    shared.append(shared)
    loaded = round_trip([shared, shared, {"y": shared}])
    assert loaded[0] is loaded[1] is loaded[2]["y"] is loaded[0][2]
    apart = round_trip([[1], [1]])
    assert apart[0] is not apart[1]


def test_more_references_than_a_byte_counts_are_kept() -> None:
    inner = [[f"word {index}"] for index in range(400)]
    loaded = round_trip([inner, inner[::-1], [fresh(item[0]) for item in inner]])
    assert loaded[0] == inner
    assert all(one is other for one, other in zip(loaded[0], loaded[1][::-1], strict=True))
    assert loaded[2] == [item[0] for item in inner]


@pytest.mark.parametrize("kind", [set, frozenset])
@pytest.mark.parametrize("count", [1, 5, 1000, 1001, 2500])
def test_a_set_comes_back_whatever_its_size(kind: type, count: int) -> None:
    obj = {"first": kind(range(count)), "second": kind(f"s{index}" for index in range(count)), "third": ["s1"]}
    assert round_trip(obj) == obj


def test_sets_of_strings_give_the_same_bytes_for_any_hash_seed() -> None:
    program = (
        "from tests.support.serialized import fingerprint;"
        "print(fingerprint({'tags': {'red', 'green', 'blue', 'x1', 'x2'}, 'f': frozenset(['p', 'q', 'r', b's', 7])}))"
    )
    seen = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONHASHSEED": seed, "PATH": ""},
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        ).stdout
        for seed in "123"
    }
    assert len(seen) == 1


def test_a_pickle_is_refused_unless_allowed() -> None:
    dumped = registry.dump({"a": 1})
    header, buffers = stored(dumped)
    with pytest.raises(UntrustedPickle, match="can run code of its writer's choice; nothing was run"):
        registry.load(dumped.serializer, dumped.version, header, buffers, allow_pickle=False)


def test_a_pickle_in_pieces_is_not_joined(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "_BLOCK", 1 << 20)
    large = bytes(3 << 20)
    obj = {"text": [f"{index:040}" for index in range(100_000)], "large": large, "more": list(range(100_000))}
    dumped = registry.dump(obj)
    sizes = [spec.view.nbytes for spec in dumped.buffers]
    assert len(sizes) > 5
    assert max(sizes) == 3 << 20
    assert any(spec.view.obj is large for spec in dumped.buffers)
    assert round_trip(obj) == obj


class Watched:
    """Notes what a sink gets, and when."""

    def __init__(self) -> None:
        self.got: list[Any] = []

    def piece(self, view: memoryview, is_copy: bool) -> None:
        self.got.append(bytes(view))

    def buffer(self, spec: BufferSpec) -> None:
        self.got.append(spec)

    def restart(self) -> None:
        self.got.append("restart")


def test_pieces_end_at_the_same_places_whatever_is_written_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "_BLOCK", 1000)
    content = bytes(range(256)) * 40
    made = []
    for step in (1, 7, 999, 1000, 1001, 5000):
        sink = Watched()
        writer = pieces.PieceWriter(sink.piece)
        for start in range(0, len(content), step):
            writer.write(content[start : start + step])
        made.append([*sink.got, bytes(writer.rest())])
    assert all(one == made[0] for one in made)
    assert b"".join(made[0]) == content


class Peek:
    """Says when it is pickled how much the sink has got by then."""

    def __init__(self, sink: Watched) -> None:
        self.sink = sink
        self.seen = 0

    def __reduce__(self) -> Any:
        self.seen = len(self.sink.got)
        return str, ()


def test_a_pickle_is_handed_on_while_it_is_made() -> None:
    sink = Watched()
    peek = Peek(sink)
    obj = [[f"{n} of many" * 30 for n in range(150_000)], peek]
    origin = registry.stream(obj, sink)
    assert peek.seen == 3
    dumped = registry.dump(obj)
    assert origin == (dumped.serializer, dumped.version, dumped.header)
    assert sink.got == [bytes(spec.view) for spec in dumped.buffers]


def test_what_was_handed_on_before_cloudpickle_took_over_is_void() -> None:
    sink = Watched()
    obj = [[f"{n} of many" * 30 for n in range(150_000)], lambda: 1]
    registry.stream(obj, sink)
    again = sink.got.index("restart")
    assert again == 3
    assert pickle.loads(b"".join(sink.got[again + 1 :]))[1]() == 1


def test_what_a_sink_raises_is_nobodys_pickle_error() -> None:
    class Full(BaseException):
        pass

    class Small(Watched):
        def piece(self, view: memoryview, is_copy: bool) -> None:
            raise Full

    with pytest.raises(Full):
        registry.stream(["a"], Small())


def test_pieces_read_like_one_file() -> None:
    reader = pieces.PieceReader([memoryview(b"one\ntw"), memoryview(b""), memoryview(b"o\nthree")])
    assert reader.readline() == b"one\n"
    assert reader.read(1) == b"t"
    target = bytearray(4)
    assert reader.readinto(target) == 4
    assert target == b"wo\nt"
    assert reader.read(1 << 40) == b"hree"
    assert reader.read(1) == reader.readline() == b""


def test_a_lambda_goes_by_value() -> None:
    factor = 3
    assert round_trip({"f": lambda x: x * factor})["f"](14) == 42


def test_a_class_of_the_program_itself_goes_by_value() -> None:
    program = """
import sys
from fastdatastore.store.serializers import registry
class Point:
    def __init__(self, x): self.x = x
    def double(self): return self.x * 2
sys.stdout.buffer.write(b"".join(spec.view for spec in registry.dump([Point(21)]).buffers))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, timeout=60)
    (point,) = registry.load("pickle", 1, {"type": "list"}, [memoryview(bytearray(done.stdout))])
    assert point.double() == 42


def test_without_cloudpickle_a_lambda_is_an_error_that_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pickling, "_has_cloudpickle", lambda: False)
    with pytest.raises(SerializationError, match=r"object\['f'\], a function, cannot be pickled .*install cloudpickle"):
        registry.dump({"f": lambda: None})


@pytest.mark.parametrize("make", [lambda: memoryview(b"abc"), Path(__file__).open], ids=["memoryview", "file"])
@pytest.mark.parametrize("beside", [None, lambda: 1, np.zeros(100_000)], ids=["alone", "a lambda", "an array"])
def test_what_cloudpickle_makes_another_type_of_is_refused(make: Any, beside: Any) -> None:
    with (
        make() as kept,
        pytest.raises(SerializationError, match=r"object\[0\]\['a'\], a .* would come back as") as caught,
    ):
        registry.dump([{"a": kept}, beside])
    assert caught.value.path == "[0]['a']"


def test_standard_output_goes_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    with Path(os.devnull).open("w", encoding="utf-8") as output:
        monkeypatch.setattr(sys, "stdout", output)
        assert round_trip([output])[0] is output


def test_code_that_is_not_here_is_named() -> None:
    pickled = pickle.dumps(Model("m"), 4).replace(b"pickled", b"missing")
    with pytest.raises(SerializationError, match=r"code that is not here: .*missing"):
        registry.load("pickle", 1, {}, [memoryview(bytearray(pickled))])


def test_an_error_of_the_pickled_code_passes() -> None:
    with pytest.raises(pickle.UnpicklingError):
        registry.load("pickle", 1, {}, [memoryview(bytearray(b"\x80\x04X"))])


def test_small_arrays_and_scalars_of_numpy_come_back() -> None:
    obj: dict[str, Any] = {"array": np.arange(3), "order": np.asfortranarray(np.ones((2, 2))), "none": np.empty((0, 2)),
           "scalars": [np.float32(0.1), np.int8(-1), np.bool_(True), np.complex64(1j), np.float64("inf")],
           "structure": np.zeros(2, [("a", "i4")]), "text": np.array(["a", "bc"])}  # fmt: skip
    loaded = round_trip(obj)
    assert [type(one) for one in loaded["scalars"]] == [type(one) for one in obj["scalars"]]
    assert loaded["scalars"] == obj["scalars"]
    for name in ("array", "order", "none", "structure", "text"):
        assert (loaded[name] == obj[name]).all()
        assert loaded[name].dtype == obj[name].dtype
        assert loaded[name].flags.writeable
        assert loaded[name].flags.f_contiguous == obj[name].flags.f_contiguous


SCALARS = [
    np.bool_(True), np.datetime64("2020-01-01"), np.datetime64("NaT"), np.timedelta64(5, "s"), np.str_("tëxt"),
    np.str_(""), np.bytes_(b"b"), np.zeros(1, [("a", "i4"), ("b", "f8")])[0], np.void(b"abc"), np.int64(3),
    np.float16(0.5),
]  # fmt: skip


@pytest.mark.parametrize("scalar", SCALARS, ids=repr)
def test_scalars_of_numpy_go_by_names_that_all_its_versions_have(scalar: Any) -> None:
    dumped = registry.dump([scalar])
    pickled = b"".join(bytes(spec.view) for spec in dumped.buffers)
    assert b"numpy." not in pickled
    assert b"\x04bool" not in pickled
    (loaded,) = load(dumped)
    assert type(loaded) is type(scalar)
    assert loaded.dtype == scalar.dtype
    assert repr(loaded) == repr(scalar)


@pytest.mark.parametrize(
    ("kind", "bits"),
    [
        (np.float16, 0x7C01), (np.float16, 0xFE00), (np.float32, 0x7F800001), (np.float32, 0xFFC00123),
        (np.float64, 0x7FF0000000000001), (np.complex64, 0x7F800001_3F800000), (np.complex64, 0x3F800000_FF800001),
    ],
)  # fmt: skip
def test_payloads_of_nan_are_kept(kind: Any, bits: int) -> None:
    scalar = np.array(bits, f"u{kind().itemsize}").view(kind)[()]
    (loaded,) = round_trip([scalar])
    assert type(loaded) is kind
    assert loaded.tobytes() == scalar.tobytes()


@pytest.mark.parametrize(
    ("obj", "name"),
    [
        (np.bool_(True), "numpy.bool_"), (np.float64(1), "numpy.float64"), (np.array([None]), "numpy.ndarray"),
        (np.ma.masked_array([1], [True]), "numpy.ma.MaskedArray"), (np.recarray(1, [("a", "i4")]), "numpy.recarray"),
    ],
    ids=str,
)  # fmt: skip
def test_the_types_of_numpy_have_names_that_all_its_versions_have(obj: Any, name: str) -> None:
    assert registry.dump(obj).header["type"] == name


@pytest.mark.parametrize("text", [np.str_("x\0"), np.bytes_(b"x\0")], ids=["str", "bytes"])
def test_zeros_at_the_end_of_text_stay(text: Any) -> None:
    assert str(round_trip([text])[0]) == str(text)  # which NumPy drops, where it takes an array on the way


def test_the_same_object_gives_the_same_bytes_everywhere() -> None:
    assert fingerprint({"epochs": 3, "rate": 0.1, "tags": ["a", "b"], "big": 1 << 70}) == "a4b98c017429568a"
    assert fingerprint(Model("net", [1, (2.5, "x")])) == "e042cb00d4600843"
    assert fingerprint([datetime.datetime(2026, 1, 2, 3, 4, 5), decimal.Decimal("1.5"), {1, 2}]) == "0965631d844a825b"
    assert fingerprint(collections.OrderedDict(a=[True, b"bytes"], b=bytearray(b"x"))) == "48ae4f45c2e132fc"
    assert fingerprint({"array": np.arange(3, dtype="<i8"), "scalar": np.float32(0.5)}) == "692121b245385085"


@pytest.mark.long
@pytest.mark.parametrize("size", [2_200_000_000, 4_400_000_000])
def test_gigabytes_come_back(size: int) -> None:
    dumped = registry.dump({"large": bytes(size), "after": ["x"]})
    assert [spec.view.nbytes for spec in dumped.buffers][1] == size
    loaded = registry.load("pickle", 1, dumped.header, [spec.view for spec in dumped.buffers])
    assert len(loaded["large"]) == size
    assert loaded["after"] == ["x"]
