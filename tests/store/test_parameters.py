"""store.json: read in every version of the format, at least as far as its version."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastdatastore.errors import FormatError
from fastdatastore.store import canonical, parameters
from fastdatastore.store.parameters import Parameters
from tests.store.formats import GOLDEN

STORE = Parameters("0123456789abcdef" * 2)


def test_the_golden_file_is_what_is_written_and_read() -> None:
    golden = (GOLDEN / "store.json").read_bytes()
    assert parameters.encode(STORE) == golden
    assert parameters.decode(golden) == STORE


def test_each_new_store_has_an_id_of_its_own() -> None:
    made = {Parameters.new() for _ in range(10)}
    assert len(made) == 10
    assert all(parameters.decode(parameters.encode(one)) == one for one in made)


def test_a_later_format_is_named() -> None:
    data = canonical.encode({"format": 12, "whatever": ["it", "holds"]})
    with pytest.raises(FormatError, match=r"format version 12; this release reads version 1\. .* knows version 12"):
        parameters.decode(data)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"[]",
        b'{"format":true}',
        b'{"format":"1"}',
        b'{"format":1}',
        b'{"format":1,"id":"0123"}',
        parameters.encode(STORE) + b"\n",
        parameters.encode(STORE).replace(b"6291456", b"6291457"),
        parameters.encode(STORE).replace(b"fds-1", b"fds-2"),
        parameters.encode(STORE).replace(b'"b3"', b'"b4"'),
        parameters.encode(STORE).replace(b'"digest"', b'"also":1,"digest"'),
        b'"' + b"a" * 5000 + b'"',
    ],
)
def test_what_is_no_store_json_is_refused(data: bytes) -> None:
    with pytest.raises(FormatError, match=r"^store\.json: "):
        parameters.decode(data)


@given(st.data())
def test_changed_bytes_are_refused_or_another_id(data: st.DataObject) -> None:
    stored = bytearray(parameters.encode(STORE))
    index = data.draw(st.integers(0, len(stored) - 1))
    stored[index] = data.draw(st.integers(0, 255))
    try:
        read = parameters.decode(stored)
    except FormatError:
        return
    assert parameters.encode(read) == stored
