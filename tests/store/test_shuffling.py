"""The byte shuffle: by the definition of docs/format.md, native and portable."""

from __future__ import annotations

from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastdatastore.store import portable_shuffle

native = pytest.importorskip("fastdatastore._native")
both = pytest.mark.parametrize("by", [native, portable_shuffle], ids=["native", "portable"])


def by_definition(data: bytes, item: int) -> bytes:
    items = len(data) // item
    shuffled = bytearray(data)
    for i in range(items):
        for j in range(item):
            shuffled[j * items + i] = data[i * item + j]
    return bytes(shuffled)


@both
@given(data=st.binary(max_size=600), item=st.integers(2, 255) | st.sampled_from([2, 4, 8, 16]))
def test_a_shuffle_is_what_the_definition_says_and_is_undone(by: ModuleType, data: bytes, item: int) -> None:
    shuffled, back = bytearray(len(data)), bytearray(len(data))
    by.shuffle(data, shuffled, item)
    assert shuffled == by_definition(data, item)
    by.unshuffle(shuffled, back, item)
    assert back == data


@both
@pytest.mark.parametrize("item", [1, 0, -8, 256])
def test_an_item_that_no_frame_can_name_is_refused(by: ModuleType, item: int) -> None:
    with pytest.raises(ValueError, match="item must be 2 to 255"):
        by.shuffle(bytes(8), bytearray(8), item)


@both
def test_buffers_of_two_sizes_are_refused(by: ModuleType) -> None:
    with pytest.raises(ValueError, match="got 8 and 9 bytes"):
        by.unshuffle(bytes(8), bytearray(9), 2)


def test_a_buffer_is_not_shuffled_into_itself() -> None:
    data = bytearray(64)
    with pytest.raises(ValueError, match="two buffers"):
        native.shuffle(data, data, 8)
    data.append(1)  # and it was let go of
