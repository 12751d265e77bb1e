"""Sizes as people write them."""

from __future__ import annotations

import pytest

from fastdatastore.bench.sizes import format_size, parse_size


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("1", 1),
        ("4096", 4096),
        ("16KiB", 16 << 10),
        ("4MiB", 4 << 20),
        ("4 MiB", 4 << 20),
        ("1gib", 1 << 30),
        ("1GB", 10**9),
        ("1e9", 10**9),
        ("1.5GiB", 3 << 29),
        ("2.5e3kB", 2_500_000),
        ("512B", 512),
        ("5TiB", 5 << 40),
    ],
)
def test_a_size_is_read(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "text", ["", "x", "GiB", "-1", "+1", "1 2", "0x10", "1KiBB", "nan", "1e", "٣", "1e9e9", "1,000"]
)
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no size"):
        parse_size(text)


@pytest.mark.parametrize("text", ["0", "0.1", "6TiB", "1e99", "9" * 500])
def test_a_size_out_of_range_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is out of range"):
        parse_size(text)


def test_a_fraction_of_a_byte_is_refused() -> None:
    with pytest.raises(ValueError, match="no whole number of bytes"):
        parse_size("1.0001KiB")


@pytest.mark.parametrize(
    ("size", "text"),
    [(17, "17 B"), (1 << 10, "1 KiB"), (512 << 20, "512 MiB"), (1100 << 20, "1.07 GiB"), (3 << 29, "1.5 GiB")],
)
def test_a_size_is_written_in_three_digits(size: int, text: str) -> None:
    assert format_size(size) == text
