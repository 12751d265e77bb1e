"""What a put gives the back end to store."""

from __future__ import annotations

from dataclasses import dataclass

from fastdatastore.store.backends.base import Write
from fastdatastore.store.manifest import Chunk
from fastdatastore.store.put.artifact import Artifact
from fastdatastore.store.put.outline import Piece


@dataclass(kw_only=True, eq=False, slots=True)
class Sized(Write):
    """Attributes: size: bytes of the object."""

    size: int


@dataclass(kw_only=True, eq=False, slots=True)
class ChunkWrite(Sized):
    """Of a chunk.

    Attributes:
        chunk: What is stored.
        held: Bytes of the room that it gives back.
        users: Where its bytes come from, if that is the user's own memory.
    """

    chunk: Chunk
    held: int
    users: Piece | None


@dataclass(kw_only=True, eq=False, slots=True)
class ManifestWrite(Sized):
    """Attributes: artifact: whose it is."""

    artifact: Artifact
