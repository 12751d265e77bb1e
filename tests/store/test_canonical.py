"""Canonical JSON: one way to write a value, and nothing else is read."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastdatastore.store import canonical
from fastdatastore.store.canonical import MAX_DEPTH, MAX_INTEGER, NotCanonical

TEXT = st.text(st.characters(codec="utf-8"))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-MAX_INTEGER, MAX_INTEGER) | TEXT,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(TEXT, inner, max_size=5),
    max_leaves=20,
)


@given(VALUES)
def test_a_value_comes_back_and_is_json_to_anyone(value: Any) -> None:
    data = canonical.encode(value)
    assert canonical.decode(data) == value == json.loads(data)


@given(VALUES)
def test_the_same_value_written_otherwise_is_refused(value: Any) -> None:
    canonical_form = canonical.encode(value)
    for other in (json.dumps(value).encode(), json.dumps(value, indent=1).encode(), canonical_form + b"\n"):
        if other != canonical_form:
            with pytest.raises(NotCanonical):
                canonical.decode(other)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        value = canonical.decode(data)
    except NotCanonical:
        return
    assert canonical.encode(value) == data


# RFC 8785, 3.2.3: the order of its example, without the floats.
def test_members_are_in_the_order_of_rfc_8785() -> None:
    names = ["\u20ac", "\r", "\ufb33", "1", "\U0001f600", "\u0080", "\u00f6"]
    written = json.loads(
        canonical.encode(dict.fromkeys(names, 0)), object_pairs_hook=lambda pairs: [n for n, _ in pairs]
    )
    assert written == ["\r", "1", "\u0080", "\u00f6", "\u20ac", "\U0001f600", "\ufb33"]


def test_strings_are_escaped_as_rfc_8785_has_it() -> None:
    text = '\u20ac$\x0f\nA\'B"\\"/\x7f\b\t\f\r\x00'
    assert canonical.encode(text) == '"\u20ac$\\u000f\\nA\'B\\"\\\\\\"/\x7f\\b\\t\\f\\r\\u0000"'.encode()


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (1.5, "$ is a float"),
        ({"a": [0, b"bytes"]}, "$.a[1] is a bytes"),
        (MAX_INTEGER + 1, "2^53"),
        ({"n": -MAX_INTEGER - 1}, "$.n"),
        ({1: 2}, "no string"),
        ("\ud800", "lone surrogate"),
        ({"\udfff": 1}, "lone surrogate"),
        ({1, 2}, "$ is a set"),
    ],
)
def test_what_json_without_floats_cannot_hold_is_refused(value: Any, why: str) -> None:
    with pytest.raises(NotCanonical, match=re.escape(why)):
        canonical.encode(value)


def test_integers_up_to_the_bounds_are_exact() -> None:
    for number in (MAX_INTEGER, -MAX_INTEGER, 0, -1):
        assert canonical.decode(canonical.encode(number)) == number


def test_nesting_is_bounded() -> None:
    value: Any = 0
    for _ in range(MAX_DEPTH):
        value = [value]
    assert canonical.decode(canonical.encode(value)) == value
    with pytest.raises(NotCanonical, match="deeper"):
        canonical.encode([value])
    with pytest.raises(NotCanonical):
        canonical.decode(b"[" * 100_000)
    with pytest.raises(NotCanonical):
        canonical.decode(b"[" * 100_000 + b"]" * 100_000)


def test_the_number_of_values_is_bounded() -> None:
    assert canonical.decode(b"[0,0,0]", values=3) == [0, 0, 0]
    with pytest.raises(NotCanonical, match="more than 2 values"):
        canonical.decode(b"[0,0,0]", values=2)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"1.0",
        b"1e3",
        b"-0",
        b"01",
        b"NaN",
        b"Infinity",
        b"9007199254740992",
        b"1" * 5000,
        b'{"a":1,"a":1}',
        b'{"b":1,"a":1}',
        b'"\\u0041"',
        b'"\\/"',
        b'"\\u000F"',
        b'"\\ud800"',
        b'"\xff"',
        b'"\xed\xa0\x80"',
        b"\xef\xbb\xbf1",
        b" 1",
        b"1\n",
        b"[1, 2]",
        b"[1,]",
        b"'a'",
    ],
)
def test_what_is_written_otherwise_is_refused(data: bytes) -> None:
    with pytest.raises(NotCanonical):
        canonical.decode(data)
