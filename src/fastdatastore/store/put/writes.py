"""What a put gives the back end to store."""

from __future__ import annotations

from dataclasses import dataclass

from fastdatastore.store.backends.base import Write
from fastdatastore.store.put.artifact import Artifact
from fastdatastore.store.put.outline import Piece


@dataclass(kw_only=True, eq=False, slots=True)
class Sized(Write):
    """Attributes: size: bytes of the object."""

    size: int


@dataclass(kw_only=True, eq=False, slots=True)
class ChunkWrite(Sized):
    """Attributes: piece: what is stored. held: bytes of the room that it gives back. is_users: as is its memory."""

    piece: Piece
    held: int
    is_users: bool


@dataclass(kw_only=True, eq=False, slots=True)
class ManifestWrite(Sized):
    """Attributes: artifact: whose it is."""

    artifact: Artifact
