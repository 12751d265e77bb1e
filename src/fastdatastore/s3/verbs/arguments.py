"""What users give a verb: one key or many."""

from __future__ import annotations

from collections.abc import Iterable, Sized
from typing import Any, TypeAlias, TypeVar

from fastdatastore import errors
from fastdatastore.s3.objects import S3GetObject

Key: TypeAlias = str | S3GetObject | None

K = TypeVar("K")


def listed(keys: Iterable[K]) -> Iterable[K]:
    """`keys`, unless it is one key: its letters would be taken for keys."""
    if isinstance(keys, (str, bytes)):
        raise errors.InvalidKey(f"keys must be a list of keys, got the one key {keys!r}; write [{keys!r}]")
    return keys


def checked_version(version_id: str | None) -> str:
    """As the engine takes it: "" for the current version."""
    if version_id is None:
        return ""
    if not isinstance(version_id, str) or not version_id.isprintable() or not 1 <= len(version_id) <= 1024:
        raise errors.ConfigurationError(f"version_id must be a version's id, or None, got {version_id!r}")
    return version_id


def name_of(item: Any) -> str | None:
    """The key that an item names: itself, or the one in an S3GetObject or S3PutObject, ours or Metaflow's."""
    if item is None or isinstance(item, str):
        return item
    if not hasattr(item, "key"):
        raise errors.InvalidKey(f"a key must be a str or an S3GetObject, got {type(item).__name__}")
    return item.key  # type: ignore[no-any-return]


def counted(items: Iterable[Any]) -> int | None:
    """How many there are; None if only drawing them tells."""
    return len(items) if isinstance(items, Sized) else None
