"""The register of the collection: one object, changed by compare-and-set."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastdatastore.errors import FormatError
from fastdatastore.store import canonical, small
from fastdatastore.store.backends.base import Backend
from fastdatastore.store.backends.local import LocalBackend
from fastdatastore.store.collection import state
from fastdatastore.store.collection.state import Phase, State
from tests.store.collection.places import age_by, change
from tests.store.collection.suites import OnDirectory, OnServers
from tests.store.formats import GOLDEN

DIGESTS = st.binary(min_size=32, max_size=32).map(bytes.hex)
STATES = st.builds(
    State,
    phase=st.just(Phase.SWEEPING),
    number=st.integers(0, 2**53 - 1),
    list=DIGESTS,
    settling=st.lists(DIGESTS, max_size=state.MAX_SETTLING).map(tuple),
    change=st.binary(min_size=16, max_size=16).map(bytes.hex),
)
GOLDEN_STATE = State(Phase.CONDEMNED, 7, "01234567" * 8, ("89abcdef" * 8,), "00112233445566778899aabbccddeeff")


def test_the_golden_register_is_what_is_written_and_read() -> None:
    golden = (GOLDEN / "state.json").read_bytes()
    assert state.encode(GOLDEN_STATE) == golden
    assert state.decode(golden) == GOLDEN_STATE


@given(STATES)
def test_what_is_written_is_read(one: State) -> None:
    assert state.decode(state.encode(one)) == one
    assert len(state.encode(one)) <= state.MAX_SIZE


@given(STATES, st.data())
def test_changed_bytes_are_refused_or_another_state(one: State, data: st.DataObject) -> None:
    stored = bytearray(state.encode(one))
    stored[data.draw(st.integers(0, len(stored) - 1))] = data.draw(st.integers(0, 255))
    try:
        found = state.decode(stored)
    except FormatError:
        return
    assert state.encode(found) == stored


def test_a_later_format_is_named() -> None:
    data = canonical.encode({"format": 3, "whatever": 1})
    with pytest.raises(FormatError, match=r"format version 3; this release reads version 1"):
        state.decode(data)


@pytest.mark.parametrize(
    "member", [{"phase": "asleep"}, {"number": -1}, {"number": True}, {"list": ""}, {"settling": ["x"]}, {"more": 1}]
)
def test_what_is_no_register_is_refused(member: dict[str, object]) -> None:
    stored = canonical.decode(state.encode(GOLDEN_STATE))
    assert isinstance(stored, dict)
    with pytest.raises(FormatError, match=r"^gc/state\.json: "):
        state.decode(canonical.encode({**stored, **member}))


class RegisterSuite:
    """On any back end."""

    def test_a_store_without_a_register_is_idle(self, backend: Backend) -> None:
        seen = state.read(backend)
        assert (seen.state, seen.etag) == (State(), "")

    def test_of_two_who_have_seen_the_same_one_wins(self, backend: Backend) -> None:
        for _ in range(3):
            seen = state.read(backend)
            first = state.change(backend, seen, seen.state.to(Phase.IDLE))
            second = state.change(backend, seen, seen.state.to(Phase.IDLE))
            assert first is not None
            assert second is None
            assert state.read(backend) == first

    def test_a_state_that_comes_back_is_another_one(self, backend: Backend) -> None:
        before = change(backend, Phase.IDLE)
        change(backend, Phase.SWEEPING, "chunks/b3/ab/" + "ab" * 32)
        after = change(backend, Phase.IDLE)
        assert before.etag != after.etag
        assert state.change(backend, before, before.state.to(Phase.IDLE)) is None

    def test_its_age_is_of_its_last_change(self, backend: Backend) -> None:
        change(backend, Phase.IDLE)
        assert -1 <= state.age(backend) < 60

    def test_a_register_of_another_kind_is_refused(self, backend: Backend) -> None:
        small.write(backend, state.NAME, b"x" * 5000)
        with pytest.raises(FormatError, match="5000 bytes"):
            state.read(backend)


class TestInDirectory(OnDirectory, RegisterSuite):
    """A directory."""

    def test_it_grows_old(self, backend: LocalBackend) -> None:
        change(backend, Phase.IDLE)
        age_by(backend, state.NAME, 5000)
        assert 4999 <= state.age(backend) < 5060


class TestOnServers(OnServers, RegisterSuite):
    """Servers."""
