"""Refs, "b3:" and 64 hex digits, and where in the store chunks and artifacts lie."""

from __future__ import annotations

import re

from fastdatastore.errors import InvalidRef

PREFIX = "b3:"
_DIGEST = re.compile(r"[0-9a-f]{64}")


def of(digest: str) -> str:
    """The ref of an artifact whose logical manifest has this digest."""
    return PREFIX + digest


def digest_of(ref: str) -> str:
    """The digest that a ref holds.

    Raises:
        InvalidRef: It is no ref, or one of an algorithm that this release does not know.
    """
    digest = ref.removeprefix(PREFIX) if isinstance(ref, str) else ""
    if not is_digest(digest) or digest == ref:
        raise InvalidRef(
            f"{ref!r:.100} is no ref; a ref is 'b3:' and 64 lower-case hex digits, as put() returns it, and "
            "resolve() for a tag; one with another prefix needs a newer release of fastdatastore"
        )
    return digest


def is_digest(text: object) -> bool:
    """Whether it is 64 lower-case hex digits: nothing else ever becomes part of a name."""
    return isinstance(text, str) and _DIGEST.fullmatch(text) is not None


def artifact_name(digest: str) -> str:
    """Where the manifest with this digest lies, from the store's root."""
    return f"artifacts/b3/{digest[:2]}/{digest}"


def chunk_name(digest: str) -> str:
    """Where the chunk with this digest lies, from the store's root."""
    return f"chunks/b3/{digest[:2]}/{digest}"
