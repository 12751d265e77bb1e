"""BLAKE3-256, by the package `blake3`; lower-case hexadecimal in text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastdatastore.errors import ConfigurationError

if TYPE_CHECKING:
    from typing_extensions import Buffer

try:
    from blake3 import blake3
except ImportError as error:
    raise ConfigurationError(
        "the artifact store needs the package blake3; install it with: pip install 'fastdatastore[store]'"
    ) from error


def digest(*pieces: Buffer) -> str:
    """The digest of the pieces one after the other: 64 hex digits."""
    hasher = blake3()
    for piece in pieces:
        hasher.update(piece)
    return hasher.hexdigest()
