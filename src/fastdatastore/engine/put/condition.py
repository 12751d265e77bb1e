"""Conditional writes: store an object only if none is there, or only over the one that was seen.

The server is asked by If-None-Match or If-Match. Some ignore these headers: Ceph 16 on CompleteMultipartUpload, MinIO
before September 2025 an If-Match where there is no object (minio/minio#21526). So a HEAD looks first, except where this
bucket's server has once refused to overwrite by If-None-Match. On a server that ignores the header another writer can
slip in between that look and the write; on all others the server itself stands for the condition.

A refusal may be answered to a second attempt of a write that has succeeded, its reply lost. So the object carries a
mark of this very write in its metadata, and what is stored is looked at before anybody is told of a conflict.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field

from fastdatastore.engine.endpoints import Learnt
from fastdatastore.engine.integrity import METADATA_PREFIX
from fastdatastore.engine.request import Pairs
from fastdatastore.errors import ConfigurationError

_MARK = METADATA_PREFIX + "write"


@dataclass(frozen=True)
class Condition:
    """What must hold for an object to be stored.

    Args:
        if_match: The ETag of the object that may be overwritten; "": there must be none.
    """

    if_match: str = ""
    _write: str = field(default_factory=lambda: secrets.token_hex(8))

    def __post_init__(self) -> None:
        if self.if_match == "*" or any(c < " " or c > "~" for c in self.if_match):
            raise ConfigurationError(f"if_match must be the ETag of an object, got {self.if_match!r}")

    @property
    def mark(self) -> Pairs:
        """Metadata of the object, by which this write is known again."""
        return ((_MARK, self._write),)

    def headers(self, learnt: Learnt) -> Pairs:
        """What asks the server to hold it."""
        if not self.if_match:
            return (("if-none-match", "*"),)
        bare = self.if_match.strip('"')
        return (("if-match", bare if learnt.bare_if_match else f'"{bare}"'),)

    def is_ours(self, headers: Mapping[str, str]) -> bool:
        """Whether the object with these headers is what this write has stored."""
        return headers.get(_MARK) == self._write

    def holds(self, status: int, headers: Mapping[str, str]) -> bool:
        """Whether it does, as a HEAD was answered; one that is forbidden (403) leaves it to the server."""
        if status == 403:
            return True
        if not self.if_match:
            return status == 404
        return status != 404 and headers.get("etag", "").strip('"') == self.if_match.strip('"')
