"""What is damaged, missing or made to deceive: it is named, nothing of it is returned, and all else comes back."""

from __future__ import annotations

import gc
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fastdatastore import errors
from fastdatastore.config import MIB, Settings
from fastdatastore.engine import process, retry
from fastdatastore.errors import ArtifactNotFound, CorruptArtifact, FormatError, InvalidRef
from fastdatastore.store import codec, frame, ref
from fastdatastore.store.backends.base import Backend
from fastdatastore.store.backends.local import LocalBackend
from fastdatastore.store.backends.s3 import S3Backend
from fastdatastore.store.codec import stored
from fastdatastore.store.frame import Codec, Frame
from fastdatastore.store.get import fetch, read_manifests
from fastdatastore.store.manifest_object import MAX_SIZE
from fastdatastore.testing import servers
from fastdatastore.testing.faults import Answer, Corrupt, FaultProxy, Reset
from tests.store.conformance import get, put
from tests.store.test_fetch import MEMORY, NOISE, NUMBERS, found, spec
from tests.support.artifacts import Compress, store, zstd
from tests.support.faulty import Place, Way, furnished


@pytest.fixture
def local(tmp_path: Path) -> LocalBackend:
    return LocalBackend(tmp_path / "store", durable=False)


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    if (why := servers.why_unavailable("null")) is not None:
        pytest.skip(why)
    with servers.start("null", mode="store") as server, furnished(server) as made:
        yield made


@pytest.fixture
def way(place: Place, monkeypatch: pytest.MonkeyPatch) -> Iterator[Way]:
    monkeypatch.setattr(retry, "BASE", 0.005)
    with FaultProxy(place.server.url) as proxy:
        yield Way(place, proxy)


def outcomes(backend: Backend, *refs: str) -> dict[str, Any]:
    return dict(fetch(backend, found(backend, refs), memory=MEMORY))


def chunk_of(backend: Backend) -> str:
    """The name of the largest of the chunks that are there."""
    return max(backend.list("chunks/"), key=lambda entry: entry.size).name


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def header(
    data: bytes,
    *,
    codec: int = 0,
    raw: int | None = None,
    body: int | None = None,
    digest: bytes = b"",
) -> bytes:
    """The chunk's object with another header: of these values, else as they are for what is not compressed."""
    length = len(data) - frame.SIZE
    lengths = (length if number is None else number for number in (raw, body))
    said = b"".join(number.to_bytes(8, "little") for number in lengths)
    return b"FDSC" + bytes([1, codec, 0, 0]) + said + (digest or data[24:32]) + data[32:]


def bomb(data: bytes) -> bytes:
    """A few bytes of zstd that would become a GiB; the header does not say so."""
    import zstandard

    body = zstandard.ZstdCompressor(level=1).compress(bytes(64 * MIB)) * 16
    length = int.from_bytes(data[8:16], "little")
    return header(data[:32] + body, codec=1, raw=length, body=len(body))


DAMAGES: dict[str, tuple[Callable[[bytes], bytes], type[Exception]]] = {
    "a bit of the bytes": (lambda data: flipped(data, 5000), CorruptArtifact),
    "the last bit": (lambda data: flipped(data, len(data) - 1), CorruptArtifact),
    "cut short": (lambda data: data[:-1], CorruptArtifact),
    "half": (lambda data: data[: len(data) // 2], CorruptArtifact),
    "longer": (lambda data: data + b"x", CorruptArtifact),
    "only a header": (lambda data: data[:32], CorruptArtifact),
    "less than a header": (lambda data: data[:31], CorruptArtifact),
    "nothing": (lambda data: b"", CorruptArtifact),
    "another magic": (lambda data: b"X" + data[1:], CorruptArtifact),
    "a newer version": (lambda data: data[:4] + b"\x02" + data[5:], FormatError),
    "an unknown codec": (lambda data: header(data, codec=9), FormatError),
    "compressed, it says": (lambda data: header(data, codec=1), CorruptArtifact),
    "another raw length": (lambda data: header(data, raw=5), CorruptArtifact),
    "another body length": (lambda data: header(data, body=5), CorruptArtifact),
    "another chunk's": (lambda data: header(data, digest=b"12345678"), CorruptArtifact),
    "zstd of too much": (bomb, CorruptArtifact),
    "zstd of too little": (
        lambda data: header(
            data[:32] + bytes(codec.compress(memoryview(bytes(99)), 1, 1, shuffled=False)[1]),
            codec=1,
            raw=len(data) - 32,
        ),
        CorruptArtifact,
    ),
    "no zstd": (lambda data: header(data[: len(data) // 2], codec=1, raw=len(data) - 32), CorruptArtifact),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_chunk_is_named_and_stops_no_other_artifact(local: LocalBackend, damage: str) -> None:
    change, kind = DAMAGES[damage]
    broken = store(local, [spec(NOISE), spec(b"small")])
    name = chunk_of(local)
    whole = store(local, [spec(NUMBERS)])
    put(local, name, change(get(local, name)))
    got = outcomes(local, broken, whole)
    assert got[whole] == [NUMBERS]
    error = got[broken]
    assert type(error) is kind
    assert broken in str(error)
    assert name.rpartition("/")[2] in str(error)
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
    if isinstance(error, CorruptArtifact):
        assert (error.ref, ref.chunk_name(error.chunk)) == (broken, name)
        assert "with rewrite=True" in str(error)
    else:
        assert "release of fastdatastore" in str(error)


@pytest.mark.parametrize("at", [40, 5000, -1])
def test_a_bit_of_a_compressed_chunk(local: LocalBackend, at: int) -> None:
    broken = store(local, [spec(NUMBERS, item=8)], zstd)
    name = chunk_of(local)
    data = get(local, name)
    put(local, name, flipped(data, at % len(data)))
    error = outcomes(local, broken)[broken]
    assert isinstance(error, CorruptArtifact)
    assert name.rpartition("/")[2] in str(error)


def test_another_chunk_in_its_place(local: LocalBackend) -> None:
    """Its frame is sound, its bytes have the digest that its own name says."""
    broken = store(local, [spec(NOISE)])
    name = chunk_of(local)
    data = bytearray(get(local, name))
    data[40:] = data[39:-1]
    put(local, name, data)
    assert isinstance(outcomes(local, broken)[broken], CorruptArtifact)


@pytest.mark.parametrize("compress", [stored, zstd])
def test_a_missing_chunk_is_named(local: LocalBackend, compress: Compress) -> None:
    broken, whole = store(local, [spec(NUMBERS + NOISE)], compress), store(local, [spec(b"small")])
    name = chunk_of(local)
    local.delete([name])
    got = outcomes(local, broken, whole)
    assert isinstance(got[broken], CorruptArtifact)
    assert got[broken].chunk == name.rpartition("/")[2]
    assert "it is missing" in str(got[broken])
    assert got[whole] == [b"small"]


def test_a_damaged_chunk_that_two_artifacts_share_is_named_for_both(local: LocalBackend) -> None:
    one, two = store(local, [spec(NOISE), spec(b"1")]), store(local, [spec(NOISE), spec(b"2")])
    for name in [entry.name for entry in local.list("chunks/") if entry.size > MIB]:
        put(local, name, flipped(get(local, name), 100))
    got = outcomes(local, one, two)
    assert (got[one].ref, got[two].ref) == (one, two)


@pytest.mark.parametrize("data", [b"12345678", NOISE[:400_000]])
def test_a_bit_of_what_lies_in_its_manifest(local: LocalBackend, data: bytes) -> None:
    broken = store(local, [spec(data)])
    name = ref.artifact_name(ref.digest_of(broken))
    put(local, name, flipped(get(local, name), -1 % len(get(local, name))))
    error = outcomes(local, broken)[broken]
    assert isinstance(error, CorruptArtifact)
    assert error.ref == broken
    assert len(error.chunk) == 64


def test_an_error_keeps_no_memory(local: LocalBackend) -> None:
    gc.collect()
    pool = process.buffer_pool(Settings())
    before = pool.state()["in_use_regions"]
    kept = []
    for change, _ in DAMAGES.values():
        broken = store(local, [spec(NOISE)])
        name = chunk_of(local)
        data = get(local, name)
        put(local, name, change(data))
        kept.append(outcomes(local, broken)[broken])
        put(local, name, data)
    assert pool.state()["in_use_regions"] == before
    assert all(isinstance(error, Exception) for error in kept)


# ---- on the way ----


def test_a_bit_that_flips_on_the_way_is_noticed(way: Way) -> None:
    backend = S3Backend(way.client(), way.place.bucket, way.new)
    broken = store(backend, [spec(NOISE)])
    way.proxy.add(Corrupt(at=1_000_000, operation="GetObject", key="chunks/", times=1))
    error = outcomes(backend, broken)[broken]
    assert isinstance(error, CorruptArtifact)
    assert way.struck(Corrupt) == 1
    assert outcomes(backend, broken)[broken] == [NOISE]


def test_bodies_cut_short_go_on_where_they_stopped(way: Way) -> None:
    backend = S3Backend(way.client(), way.place.bucket, way.new)
    whole = store(backend, [spec(NOISE), spec(NUMBERS, item=8)], zstd)
    way.proxy.add(Reset(at=300_000, operation="GetObject", key="chunks/", nth=range(1, 4)))
    assert outcomes(backend, whole)[whole] == [NOISE, NUMBERS]
    assert way.struck(Reset) > 0


def test_a_chunk_that_may_not_be_read_is_that_error(way: Way) -> None:
    backend = S3Backend(way.client(), way.place.bucket, way.new)
    broken, whole = store(backend, [spec(NOISE)]), store(backend, [spec(NUMBERS)])
    name = chunk_of(backend)
    way.proxy.add(Answer(403, operation="GetObject", key=name))
    got = outcomes(backend, broken, whole)
    assert sorted(type(each).__name__ for each in got.values()) == ["AccessDenied", "list"]


# ---- manifests ----


def manifest(backend: Backend, artifact: str) -> Any:
    ((asked, got),) = read_manifests(backend, [artifact])
    assert asked == artifact
    return got


def test_an_artifact_that_is_not_there(local: LocalBackend) -> None:
    absent = "b3:" + "0" * 64
    error = manifest(local, absent)
    assert isinstance(error, ArtifactNotFound)
    assert error.ref == absent
    assert absent in str(pickle.loads(pickle.dumps(error)))


@pytest.mark.parametrize("text", ["", "b3:", "b3:../../secret", "b3:" + "G" * 64, "sha256:" + "0" * 64, "0" * 64])
def test_what_is_no_ref_is_told_beside_the_others(local: LocalBackend, text: str) -> None:
    there = store(local, [spec(b"1")])
    got = dict(read_manifests(local, [text, there]))
    assert isinstance(got[text], InvalidRef)
    assert not isinstance(got[there], Exception)
    assert isinstance(manifest(local, text), InvalidRef)


def test_damaged_manifests(local: LocalBackend) -> None:
    there, other = store(local, [spec(b"1")]), store(local, [spec(b"2")])
    name = ref.artifact_name(ref.digest_of(there))
    data = get(local, name)
    put(local, name, get(local, ref.artifact_name(ref.digest_of(other))))
    assert isinstance(manifest(local, there), CorruptArtifact)
    for damaged in (data[:-1], data[:40], data[:31], b"", bytes(len(data)), data + b"x"):
        put(local, name, damaged)
        error = manifest(local, there)
        assert isinstance(error, CorruptArtifact), damaged
        assert (error.ref, "with rewrite=True" in str(error)) == (there, True)
    put(local, name, data[:4] + b"\x02" + data[5:])
    assert isinstance(manifest(local, there), FormatError)
    put(local, name, data)
    assert not isinstance(manifest(local, there), Exception)


def test_an_object_too_large_to_be_a_manifest_is_not_read(local: LocalBackend) -> None:
    there = store(local, [spec(b"1")])
    path = local.root / ref.artifact_name(ref.digest_of(there))
    with path.open("r+b") as file:
        file.truncate(MAX_SIZE + 1)
    error = manifest(local, there)
    assert isinstance(error, CorruptArtifact)
    assert str(MAX_SIZE) in str(error)


def test_a_server_that_cannot_be_asked_for_a_manifest(way: Way) -> None:
    backend = S3Backend(way.client(attempts=2), way.place.bucket, way.new)
    there = store(backend, [spec(b"1")])
    way.proxy.add(Answer(500, operation="GetObject"))
    assert isinstance(manifest(backend, there), errors.ServerError)


def test_frames_of_the_tests_are_as_the_format_says(local: LocalBackend) -> None:
    """So that what they change is what is wrong."""
    store(local, [spec(NOISE)])
    data = get(local, chunk_of(local))
    assert header(data) == data
    assert frame.decode(data, data[24:32].hex() + "0" * 48, len(data) - 32) == Frame(
        Codec.RAW, 0, len(data) - 32, len(data) - 32
    )
