"""An artifact on its way in: its memory, and what is missing in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeAlias

from fastdatastore.errors import ArtifactTooLarge, CorruptArtifact, FormatError, NotFound
from fastdatastore.store import codec
from fastdatastore.store.digest import digest
from fastdatastore.store.get import regions
from fastdatastore.store.manifest import Chunk
from fastdatastore.store.manifest_object import StoredManifest

Outcome: TypeAlias = "tuple[str, list[memoryview] | Exception]"
"""A ref, and the artifact's buffers or why it cannot be had."""


class Differs(Exception):
    """Bytes that have another digest than their chunk."""


def verify(place: memoryview, chunk: Chunk) -> None:
    """Raises Differs if these are not the chunk's raw bytes."""
    found = digest(place)
    if found != chunk.digest:
        raise Differs(f"its digest is {found}")


class Artifact:
    """For one thread.

    Args:
        on_end: Is told the outcome when it is complete, or cannot be had.
    """

    def __init__(self, ref: str, stored: StoredManifest, on_end: Callable[[Outcome], None]) -> None:
        self.ref = ref
        self.has_ended = False
        self._stored = stored
        self._on_end = on_end
        self._segments: list[memoryview] = []
        self._missing = 0

    def __repr__(self) -> str:
        return f"<Artifact {self.ref} | {'ended' if self.has_ended else f'{self._missing} chunks missing'}>"

    def begin(self, max_bytes: int) -> Iterator[tuple[Chunk, memoryview]]:
        """Takes its memory. Yields each chunk that is to be read, with its place; filled() is to follow for each."""
        manifest = self._stored.manifest
        length = manifest.length
        if length > max_bytes:
            self._end(
                ArtifactTooLarge(
                    f"artifact {self.ref} has {length:,} bytes, and at most {max_bytes:,} are allowed; "
                    "allow more by max_bytes, or read it on a machine with more memory"
                )
            )
            return
        try:
            self._segments = regions.take(manifest)
        except MemoryError as error:
            self._end(error.with_traceback(None))
            return
        places = list(regions.places(manifest, self._segments))
        if self._stored.inline is not None:
            self._take_inline(places)
            return
        self._missing = len(places)
        self._end_if_complete()
        yield from places

    def filled(self) -> None:
        """One more of its places has its bytes, verified."""
        self._missing -= 1
        self._end_if_complete()

    def fail(self, problem: Exception, chunk: Chunk) -> None:
        """This befell one of its chunks."""
        if not self.has_ended:
            self._end(_error(problem, self.ref, chunk))

    def _take_inline(self, places: list[tuple[Chunk, memoryview]]) -> None:
        """Fills its places from the object that its manifest is in."""
        assert self._stored.inline is not None
        for inline, (chunk, place) in zip(self._stored.inline, places, strict=True):
            try:
                codec.expand(inline.frame, inline.body, place)
                verify(place, chunk)
            except Exception as problem:
                self.fail(problem.with_traceback(None), chunk)
                return
        self._end_if_complete()

    def _end_if_complete(self) -> None:
        if not self._missing and not self.has_ended:
            self._end(regions.buffers(self._stored.manifest, self._segments))

    def _end(self, outcome: list[memoryview] | Exception) -> None:
        self.has_ended, self._segments = True, []
        self._on_end((self.ref, outcome))


def _error(problem: Exception, ref: str, chunk: Chunk) -> Exception:
    """What an artifact says that cannot be had for what befell one of its chunks."""
    match problem:
        case NotFound():
            return CorruptArtifact("it is missing", ref=ref, chunk=chunk.digest)
        case Differs():
            return CorruptArtifact(str(problem), ref=ref, chunk=chunk.digest)
        case FormatError(is_newer=True):
            return FormatError(problem.reason, place=f"{ref}, chunk {chunk.digest}", hint=problem.hint, is_newer=True)
        case FormatError():
            return CorruptArtifact(problem.reason, ref=ref, chunk=chunk.digest)
    return problem.with_traceback(None)  # that would keep the memory
