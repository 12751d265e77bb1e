"""Refs and names: nothing but hex digits ever becomes part of a path."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastdatastore.errors import InvalidRef
from fastdatastore.store import ref

DIGEST = "ab" * 32


def test_a_ref_says_its_algorithm_and_its_digest() -> None:
    assert ref.of(DIGEST) == f"b3:{DIGEST}"
    assert ref.digest_of(f"b3:{DIGEST}") == DIGEST


def test_names_are_fanned_out_by_the_digests_first_byte() -> None:
    assert ref.artifact_name(DIGEST) == f"artifacts/b3/ab/{DIGEST}"
    assert ref.chunk_name(DIGEST) == f"chunks/b3/ab/{DIGEST}"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "b3:",
        DIGEST,
        f"b3:{DIGEST.upper()}",
        f"b3:{DIGEST}\n",
        f"b3:{DIGEST}0",
        f"b3:b3:{DIGEST}",
        f"sha256:{DIGEST}",
        f"b3:../../{DIGEST[6:]}",
        "b3:" + "\u0661" * 64,
        None,
        7,
    ],
)
def test_what_is_no_ref_is_refused(text: str) -> None:
    with pytest.raises(InvalidRef, match="is no ref"):
        ref.digest_of(text)


@given(st.text())
def test_any_text_is_refused(text: str) -> None:
    with pytest.raises(InvalidRef):
        ref.digest_of(text)
