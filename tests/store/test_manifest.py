"""Manifests: what is written comes back, the bytes never change, and hostile ones are refused."""

from __future__ import annotations

import copy
import pickle
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastdatastore.errors import CorruptArtifact, FormatError, InvalidRef
from fastdatastore.store import canonical, frame, manifest, manifest_object, ref
from fastdatastore.store.digest import digest
from fastdatastore.store.layout import OWN_SEGMENT_FROM, lay_out
from fastdatastore.store.manifest import Chunk, Manifest, StoredSegment
from fastdatastore.store.placement import StoredBuffer
from tests.store.formats import GOLDEN, SPECS, Spec, golden_data, inline_object, manifest_of
from tests.store.test_canonical import TEXT, VALUES

HEADERS = st.dictionaries(TEXT, VALUES, max_size=4)
A, B = "a" * 64, "b" * 64


@given(st.lists(SPECS, max_size=8), HEADERS)
@settings(deadline=None)
def test_an_inline_artifact_comes_back(specs: list[Spec], header: dict[str, object]) -> None:
    artifact, data = inline_object(specs, header)
    stored = manifest_object.decode(data, artifact)
    assert stored.manifest == manifest_of(lay_out(specs), header)
    assert stored.inline is not None
    payload = b"".join(bytes(chunk.body) for chunk in stored.inline)
    offsets = stored.manifest.offsets
    assert [payload[offset : offset + len(one.view)] for offset, one in zip(offsets, specs, strict=True)] == [
        one.view for one in specs
    ]


def large() -> Manifest:
    return Manifest(
        serializer="numpy",
        version=1,
        header={"dtype": "<f8", "shape": [1 << 20, 3]},
        buffers=(StoredBuffer(100, 64, 0), StoredBuffer(24 << 20, 64, 1)),
        segments=(
            StoredSegment(1, (Chunk(A, 100),)),
            StoredSegment(8, (Chunk(B, 10 << 20), Chunk(A, 8 << 20), Chunk(B, 6 << 20))),
        ),
    )


GOLDEN_SPECS = [
    Spec(memoryview(b"one buffer"), 64),
    Spec(memoryview(b""), 8),
    Spec(memoryview(bytes(range(100))), 128, 4),
]
GOLDEN_HEADER: dict[str, object] = {"text": '\u20ac \U0001f600 "\n', "shape": [2, None, True], "": -(2**53) + 1}


def test_the_golden_inline_artifact_is_what_is_written_and_read() -> None:
    golden = (GOLDEN / "inline.fdsm").read_bytes()
    artifact = (GOLDEN / "inline.ref").read_text().strip()
    assert inline_object(GOLDEN_SPECS, GOLDEN_HEADER) == (artifact, golden)
    stored = manifest_object.decode(golden, artifact)
    assert stored.manifest.header == GOLDEN_HEADER
    assert stored.inline is not None
    assert [len(chunk.body) for chunk in stored.inline] == [228]


def test_the_golden_artifact_of_chunks_is_what_is_written_and_read() -> None:
    golden = (GOLDEN / "chunked.fdsm").read_bytes()
    logical = manifest.encode(large())
    assert b"".join(map(bytes, manifest_object.encode(logical))) == golden
    artifact = (GOLDEN / "chunked.ref").read_text().strip()
    assert ref.of(digest(logical)) == artifact
    assert manifest_object.decode(golden, artifact) == manifest_object.StoredManifest(large(), None)


def test_the_ref_of_a_large_artifact_never_changes() -> None:
    specs = [
        Spec(memoryview(golden_data("counter")), 64, 24),
        *GOLDEN_SPECS,
        Spec(memoryview(golden_data("zeros")), 64, 8),
    ]
    logical = manifest.encode(manifest_of(lay_out(specs), GOLDEN_HEADER))
    assert logical == (GOLDEN / "large.logical.json").read_bytes()
    assert ref.of(digest(logical)) == (GOLDEN / "large.ref").read_text().strip()


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_mutated_objects_are_refused(data: st.DataObject) -> None:
    artifact, good = inline_object(GOLDEN_SPECS, GOLDEN_HEADER)
    payload = len(good) - 228
    mutated = bytearray(good)
    for _ in range(data.draw(st.integers(1, 4))):
        index = data.draw(st.integers(0, payload - 1))
        match data.draw(st.sampled_from(("set", "cut", "insert"))):
            case "set":
                mutated[index : index + 1] = bytes([data.draw(st.integers(0, 255))])
            case "cut":
                del mutated[index : index + data.draw(st.integers(1, 50))]
            case "insert":
                mutated[index:index] = data.draw(st.binary(max_size=50))
    if mutated != good:
        with pytest.raises((FormatError, CorruptArtifact)):
            manifest_object.decode(mutated, artifact)


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_mutated_manifests_with_a_digest_that_fits_are_refused_or_other_artifacts(data: st.DataObject) -> None:
    logical = bytearray(manifest.encode(large()))
    for _ in range(data.draw(st.integers(1, 3))):
        index = data.draw(st.integers(0, len(logical) - 1))
        logical[index : index + data.draw(st.integers(0, 2))] = data.draw(
            st.sampled_from([b"", b"0", b"9", b"-", b'"', b"[", b"]", b",", b"{", b"1e9", b"true", b"null", b"\xff"])
        )
    try:
        read = manifest.decode(bytes(logical), "x")
    except FormatError:
        return
    assert manifest.encode(read) == logical


def changed(change: Callable[[dict[str, Any]], object]) -> bytes:
    value: Any = copy.deepcopy(canonical.decode(manifest.encode(large())))
    change(value)
    return canonical.encode(value)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda m: m.pop("header"), "other members"),
        (lambda m: m.update(time=1), "other members"),
        (lambda m: m.update(header=[]), '"header" is no object'),
        (lambda m: m.update(serializer="numpy"), '"serializer"'),
        (lambda m: m.update(serializer=["numpy", True]), '"serializer"'),
        (lambda m: m.update(serializer=["../numpy", 1]), "no serializer's name"),
        (lambda m: m.update(serializer=["numpy", 0]), "no version"),
        (lambda m: m.update(buffers=3), '"buffers"'),
        (lambda m: m["buffers"][0].append(1), '"buffers"'),
        (lambda m: m["buffers"].__setitem__(0, [100, True, 0]), '"buffers"'),
        (lambda m: m["buffers"].__setitem__(0, [-1, 64, 0]), "-1 bytes"),
        (lambda m: m["buffers"].__setitem__(0, [100, 48, 0]), "align 48"),
        (lambda m: m["buffers"].__setitem__(0, [100, 8192, 0]), "align 8192"),
        (lambda m: m["buffers"].__setitem__(0, [100, 64, 2]), "segment 2"),
        (lambda m: m["buffers"].__setitem__(0, [100, 64, -1]), "segment -1"),
        (lambda m: m["buffers"].__setitem__(0, [101, 64, 0]), "have 100 bytes, its buffers take 101"),
        (lambda m: m["buffers"].pop(), "its buffers take None"),
        (lambda m: m["segments"].append([1, []]), "its buffers take None"),
        (lambda m: m["segments"].__setitem__(0, [1]), '"segments"'),
        (lambda m: m["segments"][0].__setitem__(0, 0), "item 0"),
        (lambda m: m["segments"][0].__setitem__(0, 65537), "item 65537"),
        (lambda m: m["segments"][1].__setitem__(0, 24), "between multiples of its item, 24"),
        (lambda m: m["segments"][0][1][0].__setitem__(0, "../" + "a" * 61), '"segments"'),
        (lambda m: m["segments"][0][1][0].__setitem__(0, "A" * 64), '"segments"'),
        (lambda m: m["segments"][0][1][0].__setitem__(1, 0), "a chunk of 0 bytes"),
        (lambda m: m["segments"][1][1][0].__setitem__(1, (16 << 20) + 8), "a chunk of 16777224 bytes"),
    ],
)
def test_what_breaks_a_rule_is_refused(change: Callable[[dict[str, Any]], object], why: str) -> None:
    with pytest.raises(FormatError, match=why):
        manifest.decode(changed(change), "b3:…")


def test_too_many_chunks_or_buffers_are_refused_when_written() -> None:
    buffers = (StoredBuffer(0, 1, 0),) * (manifest.MAX_BUFFERS + 1)
    with pytest.raises(FormatError, match="1048577 buffers"):
        manifest.encode(replace(large(), buffers=buffers))
    with pytest.raises(FormatError, match="524289 chunks"):
        manifest.encode(replace(large(), segments=(StoredSegment(1, (Chunk(A, 1),) * (manifest.MAX_CHUNKS + 1)),)))


def test_a_manifest_of_the_most_chunks_can_be_written() -> None:
    length = manifest.MAX_CHUNKS * (16 << 20)
    longest = replace(
        large(),
        buffers=(StoredBuffer(length, 64, 0),),
        segments=(StoredSegment(8, (Chunk(A, 16 << 20),) * manifest.MAX_CHUNKS),),
    )
    assert len(manifest.encode(longest)) < manifest.MAX_SIZE * 2 // 3


def test_a_header_beyond_the_manifests_size_is_refused() -> None:
    with pytest.raises(FormatError, match="smaller header"):
        manifest.encode(replace(large(), header={"text": "a" * manifest.MAX_SIZE}))


def test_a_header_that_no_reader_would_parse_is_not_written() -> None:
    with pytest.raises(FormatError, match="smaller header"):
        manifest.encode(replace(large(), header={"text": "," * manifest.MAX_WEIGHT}))


def head(version: int = 1, flags: int = 0, logical: int = 0, inline: int = 0) -> bytes:
    return b"FDSM" + bytes([version, flags, 0, 0]) + b"".join(n.to_bytes(8, "little") for n in (logical, inline, 0))


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (head(version=3), "knows version 3"),
        (head(flags=2), "newer release"),
        (head()[:6] + b"\1" + head()[7:], "where zeros belong"),
        (head()[:31] + b"\1", "where zeros belong"),
    ],
)
def test_an_object_of_a_newer_format_is_refused(data: bytes, why: str) -> None:
    with pytest.raises(FormatError, match=why) as caught:
        manifest_object.decode(data, ref.of(A))
    assert caught.value.is_newer


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "0 bytes"),
        (b"FDSM", "4 bytes"),
        (b"FDSC" + bytes(28), "begins with"),
        (head(logical=2**64 - 1), "its head says"),
        (head(logical=2**64 - 1, inline=1), "its head says"),
        (head(inline=8) + bytes(8), "8 bytes of chunks, flags 0x0"),
        (head(flags=1, inline=(2 << 20) + 1) + bytes((2 << 20) + 1), "bytes of chunks"),
    ],
)
def test_an_object_whose_head_is_wrong_is_refused(data: bytes, why: str) -> None:
    with pytest.raises(CorruptArtifact, match=why):
        manifest_object.decode(data, ref.of(A))


def test_a_manifest_with_another_digest_is_named() -> None:
    artifact, data = inline_object(GOLDEN_SPECS)
    with pytest.raises(CorruptArtifact, match=f"artifact {ref.of(A)}: the manifest is damaged") as caught:
        manifest_object.decode(data, ref.of(A))
    assert caught.value.ref == ref.of(A)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)
    with pytest.raises(InvalidRef):
        manifest_object.decode(data, artifact.removeprefix("b3:"))


def test_inline_chunks_that_do_not_fit_are_refused() -> None:
    artifact, good = inline_object(GOLDEN_SPECS)
    for data in (good[:-1], good + b"\0"):
        fitting = bytearray(data)
        fitting[16:24] = (228 + 32 + len(data) - len(good)).to_bytes(8, "little")
        with pytest.raises(CorruptArtifact, match=r"cut off after 227|1 bytes follow its last chunk"):
            manifest_object.decode(fitting, artifact)


def test_more_than_a_mebibyte_inline_is_refused() -> None:
    size = OWN_SEGMENT_FROM + 1
    artifact, data = inline_object([Spec(memoryview(bytes(size)))])
    with pytest.raises(CorruptArtifact, match="1048577 bytes are inline"):
        manifest_object.decode(data, artifact)
    with pytest.raises(FormatError, match="store its chunks as objects"):
        manifest_object.encode(b"", [bytes(manifest_object.MAX_INLINE + 1)])


def test_a_size_that_no_manifest_has_is_refused_before_it_is_read() -> None:
    manifest_object.check_size(manifest_object.MAX_SIZE, "b3:…")
    for size in (0, manifest_object.HEAD_SIZE - 1, manifest_object.MAX_SIZE + 1, 1 << 62):
        with pytest.raises(CorruptArtifact, match=f"it has {size} bytes"):
            manifest_object.check_size(size, "b3:…")


@pytest.mark.parametrize(
    "logical",
    [b"[" * (1 << 20), b"[]," * (1 << 19), b"[0," * (1 << 19), b'{"":' * (1 << 18)],
    ids=lambda text: str(text[:4]),
)
def test_hostile_bytes_take_no_more_memory_than_values_are_allowed(logical: bytes) -> None:
    data = head(logical=len(logical)) + logical
    tracemalloc.start()
    try:
        with pytest.raises(FormatError):
            manifest_object.decode(data, ref.of(digest(logical)))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 4 * len(logical) + 120 * logical.count(b"[")


def test_a_frame_of_an_inline_chunk_that_lies_is_refused() -> None:
    artifact, good = inline_object(GOLDEN_SPECS)
    at = len(good) - 228 - frame.SIZE
    lying = bytearray(good)
    lying[at + 16 : at + 24] = (1 << 40).to_bytes(8, "little")
    with pytest.raises(CorruptArtifact, match="bytes for 228") as caught:
        manifest_object.decode(lying, artifact)
    assert caught.value.chunk == digest(good[-228:])
