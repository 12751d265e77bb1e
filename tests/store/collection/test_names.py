"""Lists and pardons: sets of names, 33 bytes each."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastdatastore.errors import FormatError, NotFound
from fastdatastore.store import ref
from fastdatastore.store.backends.base import Backend
from fastdatastore.store.backends.local import LocalBackend
from fastdatastore.store.collection import names
from fastdatastore.store.collection.names import Names
from tests.store.collection.suites import OnDirectory, OnServers
from tests.store.formats import GOLDEN

DIGESTS = st.binary(min_size=32, max_size=32)
KEYS = st.lists(st.builds(lambda kind, digest: kind + digest, st.sampled_from([b"a", b"c"]), DIGESTS))
CHUNKS = [ref.chunk_name(f"{n:064x}") for n in range(3)]
ARTIFACTS = [ref.artifact_name(f"{n:064x}") for n in range(1, 3)]


def test_the_golden_list_is_what_is_written_and_read() -> None:
    golden = (GOLDEN / "condemned.fdsg").read_bytes()
    listed = Names.of(map(names.key_of, CHUNKS + ARTIFACTS))
    assert names.encode(listed, bytes(range(16))) == golden
    assert [names.name_of(key) for key in names.decode(golden, "golden")] == ARTIFACTS + CHUNKS


@given(KEYS, KEYS)
def test_a_set_of_names_holds_what_was_put_in(keys: list[bytes], others: list[bytes]) -> None:
    made = Names.of(keys)
    assert list(made) == sorted(set(keys)) == [made[at] for at in range(len(made))]
    assert all(key in made for key in keys)
    assert all((key in made) == (key in set(keys)) for key in others)
    assert names.decode(names.encode(made, bytes(16)), "x") == made


@pytest.mark.parametrize("name", ["", "store.json", "tags/" + "a" * 64, "chunks/b3/ab/" + "cd" * 32, "a" * 64])
def test_other_names_have_no_key(name: str) -> None:
    with pytest.raises(ValueError, match="no name of an artifact or a chunk"):
        names.key_of(name)


@given(KEYS.filter(bool), st.data())
def test_changed_bytes_are_refused_or_another_list(keys: list[bytes], data: st.DataObject) -> None:
    stored = bytearray(names.encode(Names.of(keys), bytes(16)))
    stored[data.draw(st.integers(0, len(stored) - 1))] = data.draw(st.integers(0, 255))
    try:
        found = names.decode(bytes(stored), "x")
    except FormatError:
        return
    assert names.encode(found, bytes(stored[16:32])) == stored


@pytest.mark.parametrize(
    "data",
    [
        b"",
        bytes(32),
        b"FDSG\x02" + bytes(27),
        b"FDSG\x01\1" + bytes(26),
        b"FDSG\x01\0\0\0\1" + bytes(23) + b"d" * 33,
        b"FDSG\x01\0\0\0\2" + bytes(23) + b"a" * 66,
        b"FDSG\x01\0\0\0\2" + bytes(23) + b"a" * 33,
        bytes(names.MAX_SIZE + 1),
    ],
    ids=["empty", "no magic", "version 2", "not zero", "unknown kind", "twice", "cut off", "too long"],
)
def test_what_is_no_list_is_refused(data: bytes) -> None:
    with pytest.raises(FormatError, match=r"^here: "):
        names.decode(data, "here")


def test_many_names_take_33_bytes_each() -> None:
    data = random.Random(1).randbytes(32 * 100_000)
    keys = [b"c" + data[at : at + 32] for at in range(0, len(data), 32)]
    made = Names.of(keys)
    assert len(made.keys) == 33 * 100_000
    assert all(key in made for key in keys[::1000])


class ListSuite:
    """On any back end."""

    def test_a_list_is_found_by_its_digest(self, backend: Backend) -> None:
        listed = Names.of(map(names.key_of, CHUNKS))
        first, second = names.store_list(backend, listed), names.store_list(backend, listed)
        assert first != second
        assert names.read_list(backend, first) == names.read_list(backend, second) == listed
        with pytest.raises(NotFound):
            names.read_list(backend, "ab" * 32)

    def test_all_pardons_of_a_list_are_read(self, backend: Backend) -> None:
        for chunk in CHUNKS:
            names.store_pardon(backend, "ab" * 32, Names.of([names.key_of(chunk)]))
        names.store_pardon(backend, "cd" * 32, Names.of(map(names.key_of, ARTIFACTS)))
        assert {names.name_of(key) for key in names.read_pardons(backend, "ab" * 32)} == set(CHUNKS)
        assert names.read_pardons(backend, "ef" * 32) == set()


class TestInDirectory(OnDirectory, ListSuite):
    """A directory."""

    def test_a_damaged_list_is_refused(self, backend: LocalBackend) -> None:
        list_id = names.store_list(backend, Names.of(map(names.key_of, CHUNKS)))
        path = backend.root / names.LISTS / list_id
        path.write_bytes(path.read_bytes()[:-1] + b"\x05")
        with pytest.raises(FormatError, match="its digest is"):
            names.read_list(backend, list_id)


class TestOnServers(OnServers, ListSuite):
    """Servers."""
