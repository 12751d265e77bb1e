"""A customer's key for server-side encryption (SSE-C): the server encrypts with it and forgets it."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

from fastdatastore.errors import ConfigurationError

Pairs = tuple[tuple[str, str], ...]


class CustomerKey:
    """256 bits. In no repr, log, error or pickle.

    Args:
        key: 32 bytes, or their base64.

    Raises:
        ConfigurationError: It is neither; the message does not repeat it.
    """

    __slots__ = ("_key",)

    def __init__(self, key: bytes | str) -> None:
        raw = key
        if isinstance(key, str):
            try:
                raw = base64.b64decode(key, validate=True)
            except ValueError:
                raw = b""
        if not isinstance(raw, bytes) or len(raw) != 32:
            raise ConfigurationError("customer_key must be 32 bytes, or a str of their base64 (44 characters)")
        self._key = raw

    def headers(self, prefix: str = "x-amz-") -> Pairs:
        """What says it to the server. For the source of a copy the prefix is x-amz-copy-source-."""
        name = prefix + "server-side-encryption-customer-"
        digest = hashlib.md5(self._key, usedforsecurity=False).digest()
        return (
            (name + "algorithm", "AES256"),
            (name + "key", base64.b64encode(self._key).decode()),
            (name + "key-md5", base64.b64encode(digest).decode()),
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, CustomerKey) and other._key == self._key

    def __hash__(self) -> int:
        return hash(self._key)

    def __reduce__(self) -> tuple[Any, ...]:
        raise TypeError("a customer key is never pickled: give it to the client that the other process makes")

    def __repr__(self) -> str:
        return "<CustomerKey>"
