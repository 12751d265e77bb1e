"""What of a store is there: artifacts and chunks by their listings, and the manifests of many artifacts read."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from typing import TYPE_CHECKING, Final

from fastdatastore.errors import FastDatastoreError, NotFound
from fastdatastore.store import manifest_object, ref
from fastdatastore.store.backends.base import Backend, Entry, Read, Watch
from fastdatastore.store.manifest_object import StoredManifest

if TYPE_CHECKING:
    from typing_extensions import Buffer

ARTIFACTS: Final = "artifacts/b3/"
CHUNKS: Final = "chunks/b3/"
# Of manifests that are on the way at once; one alone may have more.
_ON_THE_WAY = 64 << 20


def artifacts(backend: Backend) -> Iterator[tuple[str, Entry]]:
    """Digest and entry of each artifact."""
    for entry in backend.list(ARTIFACTS):
        digest = entry.name[-64:]
        if ref.is_digest(digest) and entry.name == ref.artifact_name(digest):
            yield digest, entry


def chunks(backend: Backend) -> Iterator[tuple[str, Entry]]:
    """Digest and entry of each chunk."""
    for entry in backend.list(CHUNKS):
        digest = entry.name[-64:]
        if ref.is_digest(digest) and entry.name == ref.chunk_name(digest):
            yield digest, entry


class _ManifestRead(Read):
    def __init__(self, digest: str, size: int) -> None:
        super().__init__(ref.artifact_name(digest), self._room)
        self.ref = ref.of(digest)
        self.listed_size = size
        self.data = bytearray()

    def _room(self, size: int) -> tuple[Buffer, ...]:
        manifest_object.check_size(size, self.ref)
        self.data = bytearray(size)
        return (self.data,)


def manifests(
    backend: Backend, listed: Iterable[tuple[str, int]], watch: Watch = None
) -> Generator[tuple[str, StoredManifest | Exception], None, None]:
    """The manifests of artifacts, many read at once, in any order; those that are gone are left out.

    Args:
        listed: Digest and size of the manifest object, which bounds the memory that is taken.
        watch: As for Backend.read.

    Yields:
        The ref and the manifest, or in its place why there is none that can be relied upon.
    """
    on_the_way = 0

    def reads() -> Iterator[_ManifestRead | None]:
        nonlocal on_the_way
        for digest, size in listed:
            while on_the_way and on_the_way + size > _ON_THE_WAY:
                yield None
            on_the_way += size
            yield _ManifestRead(digest, size)

    with closing(backend.read(reads(), watch)) as back:
        for read in back:
            on_the_way -= read.listed_size
            if isinstance(read.error, NotFound):
                continue
            if read.error is not None:
                yield read.ref, read.error
                continue
            try:
                found: StoredManifest | Exception = manifest_object.decode(read.data, read.ref)
            except FastDatastoreError as error:
                found = error.with_traceback(None)  # it would hold the bytes
            yield read.ref, found
