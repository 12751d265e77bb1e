"""The object that an artifact's manifest is stored as; small artifacts have their payload in it."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fastdatastore.errors import CorruptArtifact, FormatError
from fastdatastore.store import frame, manifest, ref
from fastdatastore.store.digest import digest
from fastdatastore.store.frame import Frame
from fastdatastore.store.manifest import Chunk, Manifest

if TYPE_CHECKING:
    from typing_extensions import Buffer

MAGIC = b"FDSM"
VERSION = 1
HEAD_SIZE = 32
# Artifacts of so many raw bytes and fewer are one object.
INLINE_UP_TO = 1 << 20
# Of the frames: INLINE_UP_TO raw bytes and the headers of more chunks than they can be cut into.
MAX_INLINE = 2 << 20
# What a reader may have to hold at once.
MAX_SIZE = HEAD_SIZE + manifest.MAX_SIZE + MAX_INLINE

_HEAD = struct.Struct("<4sBBHQQQ")
_INLINE = 1


@dataclass(frozen=True)
class InlineChunk:
    """A chunk within a manifest object; not verified yet.

    Attributes:
        chunk: What the manifest says of it.
        frame: How the body holds it.
        body: A view of the object's bytes.
    """

    chunk: Chunk
    frame: Frame
    body: memoryview = field(repr=False)


@dataclass(frozen=True)
class StoredManifest:
    """What a manifest object holds.

    Attributes:
        manifest: Verified against the ref.
        inline: The chunks of all segments, in order; None where they are objects of their own.
    """

    manifest: Manifest
    inline: tuple[InlineChunk, ...] | None


def encode(logical: bytes, inline: Sequence[Buffer] | None = None) -> tuple[Buffer, ...]:
    """The pieces of the object.

    Args:
        logical: Of manifest.encode().
        inline: Header and body of each chunk in order; None if they are objects of their own.
    """
    frames = tuple(inline or ())
    length = sum(memoryview(piece).nbytes for piece in frames)
    if length > MAX_INLINE:
        raise FormatError(
            f"{length} bytes in a manifest; the most is {MAX_INLINE}",
            place="the artifact to be stored",
            hint="store its chunks as objects",
        )
    flags = 0 if inline is None else _INLINE
    return (_HEAD.pack(MAGIC, VERSION, flags, 0, len(logical), length, 0), logical, *frames)


def check_size(size: int, artifact: str) -> None:
    """To be asked before an object of `size` bytes is read for the ref `artifact`; CorruptArtifact if it is none."""
    if not HEAD_SIZE <= size <= MAX_SIZE:
        raise CorruptArtifact(f"it has {size} bytes; a manifest has {HEAD_SIZE} to {MAX_SIZE}", ref=artifact)


def decode(data: Buffer, artifact: str) -> StoredManifest:
    """What the object holds that lies where the manifest of the ref `artifact` should.

    Raises:
        CorruptArtifact: It is damaged: cut short, say, or its logical manifest is not the one that the ref names.
        FormatError: It is of a version that this release does not read; or the manifest that the ref names breaks a
            rule of the format, so that whoever wrote it is to blame.
        InvalidRef: `artifact` is no ref.
    """
    expected = ref.digest_of(artifact)
    view = memoryview(data).cast("B")
    check_size(len(view), artifact)
    magic, version, flags, zero, logical_length, inline_length, reserved = _HEAD.unpack_from(view)
    if magic != MAGIC:
        raise CorruptArtifact(f"it begins with {magic!r}, not with {MAGIC!r}", ref=artifact)
    if version != VERSION:
        raise FormatError.unknown_version(version, VERSION, place=f"{artifact} (manifest)")
    if flags & ~_INLINE or zero or reserved:
        raise FormatError.newer(f"it has flags {flags:#x} and {zero}, {reserved} where zeros belong", place=artifact)
    if HEAD_SIZE + logical_length + inline_length != len(view):
        raise CorruptArtifact(
            f"it has {len(view)} bytes; its head says {HEAD_SIZE} + {logical_length} + {inline_length}", ref=artifact
        )
    if inline_length > (MAX_INLINE if flags else 0):
        raise CorruptArtifact(f"it has {inline_length} bytes of chunks, flags {flags:#x}", ref=artifact)
    logical = view[HEAD_SIZE : HEAD_SIZE + logical_length]
    found = digest(logical)
    if found != expected:
        raise CorruptArtifact(f"its digest is {found}", ref=artifact)
    decoded = manifest.decode(logical, artifact)
    inline = _frames(view[HEAD_SIZE + logical_length :], decoded, artifact) if flags else None
    return StoredManifest(decoded, inline)


def _frames(view: memoryview, decoded: Manifest, artifact: str) -> tuple[InlineChunk, ...]:
    if decoded.length > INLINE_UP_TO:
        raise CorruptArtifact(f"{decoded.length} bytes are inline; the most is {INLINE_UP_TO}", ref=artifact)
    found = []
    for segment in decoded.segments:
        for chunk in segment.chunks:
            try:
                header = frame.decode(view, chunk.digest, chunk.length, f"{artifact}, chunk {chunk.digest}")
            except FormatError as error:
                if error.is_newer:
                    raise
                raise CorruptArtifact(error.reason, ref=artifact, chunk=chunk.digest) from None
            body = view[frame.SIZE : frame.SIZE + header.body]
            if len(body) < header.body:
                raise CorruptArtifact(f"it is cut off after {len(body)} bytes", ref=artifact, chunk=chunk.digest)
            found.append(InlineChunk(chunk, header, body))
            view = view[frame.SIZE + header.body :]
    if len(view):
        raise CorruptArtifact(f"{len(view)} bytes follow its last chunk", ref=artifact)
    return tuple(found)
