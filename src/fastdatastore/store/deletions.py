"""That an artifact is about to be deleted: said by an object of its own, so that nobody tags it at the same time."""

from __future__ import annotations

import secrets
from typing import Final

from fastdatastore.store import small
from fastdatastore.store.backends.base import Backend
from fastdatastore.store.collection.timing import STALE

PREFIX: Final = "gc/deletions/"


def announce(backend: Backend, digest: str) -> str:
    """Says that whoever has called this may delete the artifact within the next SWEEP seconds; the object's name."""
    name = f"{PREFIX}{digest}/{secrets.token_hex(16)}"
    small.write(backend, name)
    return name


def is_being_deleted(backend: Backend, digest: str) -> bool:
    """Whether somebody has said so, and what came of it may still land."""
    said = [entry.modified for entry in backend.list(f"{PREFIX}{digest}/")]
    return bool(said) and backend.now() - max(said) <= STALE
