"""verify() reads everything, and names the artifact and the chunk that are not as they should be."""

from __future__ import annotations

import random
from collections.abc import Iterable

import pytest

from fastdatastore import errors
from fastdatastore.store import manifest, manifest_object, ref, small, tags
from fastdatastore.store.backends.base import Backend
from fastdatastore.store.backends.local import LocalBackend
from fastdatastore.store.cancel import Cancel, Cancelled
from fastdatastore.store.collection.lease import Lease
from fastdatastore.store.collection.report import Amount
from fastdatastore.store.digest import digest
from fastdatastore.store.manifest import Chunk, Manifest, StoredSegment
from fastdatastore.store.placement import StoredBuffer
from fastdatastore.store.verify import Fault, Finding, Verified, verify
from tests.store.collection.places import Hands
from tests.store.collection.suites import OnDirectory, OnServers
from tests.store.collection.writing import make, put
from tests.store.formats import Spec
from tests.support.artifacts import store, zstd

ONE, TWO = make("1", "shared"), make("2", "shared")
SHARED = digest(b"shared")


def checked(backend: Backend, artifacts: Iterable[str] | None = None) -> tuple[list[Finding], Verified]:
    findings = []
    each = verify(backend, artifacts)
    while True:
        try:
            findings.append(next(each))
        except StopIteration as end:
            return sorted(findings, key=str), end.value


def spoil(backend: Backend, name: str) -> None:
    """Changes the last byte of an object."""
    data, _ = small.read(backend, name, 1 << 25)
    small.write(backend, name, data[:-1] + bytes([data[-1] ^ 1]))


class VerifySuite:
    """On any back end."""

    @pytest.fixture
    def lease(self, backend: Backend) -> Lease:
        lease = Lease(backend, Hands())
        put(backend, lease, ONE)
        put(backend, lease, TWO)
        return lease

    def test_a_sound_store_has_no_findings(self, backend: Backend, lease: Lease) -> None:
        tags.set_tag(backend, lease, "t", ONE.ref)
        store(backend, [Spec(memoryview(b"inline"))])
        store(backend, [Spec(memoryview(bytes(3 << 20)))], zstd)
        put(backend, lease, make("garbage"))
        backend.delete([make("garbage").name])
        findings, verified = checked(backend)
        assert findings == []
        assert verified == Verified(Amount(4, 7 + 7 + 6 + (3 << 20)), Amount(4, 8 + (3 << 20)), 1, Amount(1, 32 + 7))

    def test_an_empty_store_is_sound(self, backend: Backend) -> None:
        assert checked(backend) == ([], Verified(Amount(), Amount(), 0, Amount()))

    def test_a_damaged_chunk_is_named_for_each_artifact(self, backend: Backend, lease: Lease) -> None:
        spoil(backend, ref.chunk_name(SHARED))
        findings, _ = checked(backend)
        assert [(each.fault, each.chunk) for each in findings] == [(Fault.DAMAGED, SHARED)] * 2
        assert {each.ref for each in findings} == {ONE.ref, TWO.ref}
        assert str(findings[0]).startswith(f"artifact {findings[0].ref}, chunk {SHARED}: damaged: its digest is ")

    @pytest.mark.parametrize("length", [len(b"shared") - 1, len(b"shared") + 1])
    def test_a_manifest_with_a_wrong_length_puts_no_blame_on_others(
        self, backend: Backend, lease: Lease, length: int
    ) -> None:
        segment = StoredSegment(1, (Chunk(SHARED, length),))
        logical = manifest.encode(Manifest("raw", 1, {}, (StoredBuffer(length, 1, 0),), (segment,)))
        wrong = ref.of(digest(logical))
        small.write(backend, ref.artifact_name(digest(logical)), *manifest_object.encode(logical))
        findings, _ = checked(backend)
        assert [(each.fault, each.ref, each.chunk) for each in findings] == [(Fault.DAMAGED, wrong, SHARED)]

    def test_a_missing_chunk_is_named(self, backend: Backend, lease: Lease) -> None:
        backend.delete([ref.chunk_name(digest(b"2"))])
        findings, _ = checked(backend)
        assert [(each.fault, each.ref, each.chunk) for each in findings] == [(Fault.MISSING, TWO.ref, digest(b"2"))]

    @pytest.mark.parametrize(
        ("left", "reason"),
        [
            (b"FDSC", "its object has 4 bytes; that of a chunk of 6 has 33 to 38"),
            (b"", "its object has 0 bytes; that of a chunk of 6 has 33 to 38"),
            (bytes(38), "it begins with "),
        ],
    )
    def test_a_chunk_cut_off_is_named(self, backend: Backend, lease: Lease, left: bytes, reason: str) -> None:
        small.write(backend, ref.chunk_name(SHARED), left)
        findings, _ = checked(backend, [TWO.ref])
        assert [(each.fault, each.ref, each.chunk) for each in findings] == [(Fault.DAMAGED, TWO.ref, SHARED)]
        assert findings[0].reason.startswith(reason)

    def test_a_damaged_inline_chunk_is_named(self, backend: Backend) -> None:
        stored = store(backend, [Spec(memoryview(b"inline"))])
        spoil(backend, ref.artifact_name(ref.digest_of(stored)))
        findings, _ = checked(backend)
        assert [(each.fault, each.ref, each.chunk) for each in findings] == [(Fault.DAMAGED, stored, digest(b"inline"))]

    @pytest.mark.parametrize("left", [None, b"", b"FDSM", bytes(100)])
    def test_a_damaged_manifest_is_named(self, backend: Backend, lease: Lease, left: bytes | None) -> None:
        if left is None:
            spoil(backend, ONE.name)
        else:
            small.write(backend, ONE.name, left)
        findings, verified = checked(backend)
        assert [(each.fault, each.ref, each.chunk) for each in findings] == [(Fault.DAMAGED, ONE.ref, "")]
        assert verified.artifacts.count == 1

    def test_a_tag_without_an_artifact_is_named(self, backend: Backend, lease: Lease) -> None:
        tags.set_tag(backend, lease, "t", ONE.ref)
        small.write(backend, "tags/bad", b"{}")
        backend.delete([ONE.name])
        findings, verified = checked(backend)
        assert [(each.fault, each.tag, each.ref) for each in findings] == [
            (Fault.DAMAGED, "bad", ""),
            (Fault.MISSING, "t", ONE.ref),
        ]
        assert verified.tags == 2

    def test_artifacts_that_are_named_are_looked_at_alone(self, backend: Backend, lease: Lease) -> None:
        spoil(backend, ref.chunk_name(digest(b"1")))
        assert checked(backend, [TWO.ref, TWO.ref])[0] == []
        never = make("never put").ref
        findings, verified = checked(backend, [TWO.ref, never])
        assert [(each.fault, each.ref) for each in findings] == [(Fault.MISSING, never)]
        assert verified == Verified(Amount(1, 7), Amount(2, 7), 0, Amount())
        with pytest.raises(errors.InvalidRef):
            checked(backend, ["../x"])

    def test_it_can_be_called_off(self, backend: Backend, lease: Lease) -> None:
        cancel = Cancel()
        cancel.set()
        with pytest.raises(Cancelled):
            list(verify(backend, cancel=cancel))


class TestInDirectory(OnDirectory, VerifySuite):
    """A directory."""

    def test_of_many_chunks_each_damaged_one_is_found(self, backend: LocalBackend) -> None:
        lease = Lease(backend, Hands())
        chance = random.Random(4)
        artifacts = [make(*(str(chance.randrange(500)) for _ in range(20)), number=n) for n in range(50)]
        for artifact in artifacts:
            put(backend, lease, artifact)
        bad = {f"{n}" for n in range(0, 500, 7)}
        held = {content.decode() for artifact in artifacts for content in artifact.contents}
        for content in bad & held:
            spoil(backend, ref.chunk_name(digest(content.encode())))
        findings, _ = checked(backend)
        assert {(each.ref, each.chunk) for each in findings} == {
            (artifact.ref, digest(content))
            for artifact in artifacts
            for content in artifact.contents
            if content.decode() in bad
        }


class TestOnServers(OnServers, VerifySuite):
    """Servers."""
