"""Percent-encoding as SigV4 wants it."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import quote


def uri_encode(text: str, keep_slash: bool = False, /) -> str:
    """All but letters, digits and -._~ as %XX of its UTF-8; "/" stays if `keep_slash`."""
    return quote(text, safe="/" if keep_slash else "")


def query_string(pairs: Iterable[tuple[str, str]]) -> str:
    """The encoded pairs, sorted, so that what is sent is what is signed."""
    return "&".join(f"{name}={value}" for name, value in sorted((uri_encode(n), uri_encode(v)) for n, v in pairs))
