"""Digests: BLAKE3, and a clear word where its package is not installed."""

from __future__ import annotations

import subprocess
import sys

from fastdatastore.store.digest import digest


# From the published test vectors: bytes 0, 1, … 250, 0, 1, … of the given length.
def test_published_values_hold() -> None:
    pattern = bytes(index % 251 for index in range(1025))
    assert digest() == "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"
    assert digest(pattern[:1]) == "2d3adedff11b61f14c886e35afa036736dcd87a74d27b5c1510225d0f592e213"
    assert digest(pattern) == "d00278ae47eb27b34faecf67b4fe263f82d5412916c1ffd97c8cb7fb814b8444"


def test_pieces_are_digested_as_if_they_were_joined() -> None:
    assert digest(b"one ", memoryview(b""), bytearray(b"two")) == digest(b"one two")


def test_without_its_package_the_error_says_what_to_install() -> None:
    program = (
        "import sys; sys.modules['blake3'] = None\n"
        "from fastdatastore.errors import ConfigurationError\n"
        "try:\n    import fastdatastore.store.digest\n"
        "except ConfigurationError as error:\n    print(error)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert "pip install 'fastdatastore[store]'" in done.stdout
