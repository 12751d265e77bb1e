"""Reading manifests, many at once."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing

from fastdatastore.errors import ArtifactNotFound, FastDatastoreError, InvalidRef, NotFound
from fastdatastore.store import manifest_object, ref
from fastdatastore.store.backends.base import Backend, Read
from fastdatastore.store.cancel import NEVER, Cancel
from fastdatastore.store.manifest_object import StoredManifest


class _ManifestRead(Read):
    """Attributes: ref: of the artifact. data: what its object holds."""

    def __init__(self, artifact: str) -> None:
        super().__init__(ref.artifact_name(ref.digest_of(artifact)), self._room)
        self.ref = artifact
        self.data = bytearray()

    def _room(self, size: int) -> tuple[bytearray, ...]:
        manifest_object.check_size(size, self.ref)
        self.data = bytearray(size)
        return (self.data,)


def read_manifests(
    backend: Backend, refs: Iterable[str], cancel: Cancel = NEVER
) -> Generator[tuple[str, StoredManifest | Exception], None, None]:
    """What each artifact is, verified against its ref; in any order.

    An exception in place of a manifest: InvalidRef, ArtifactNotFound, FormatError, CorruptArtifact, or why the back end
    could not read it.
    """
    refused: deque[tuple[str, Exception]] = deque()

    def reads() -> Iterator[_ManifestRead]:
        for each in refs:
            try:
                yield _ManifestRead(each)
            except InvalidRef as error:
                refused.append((each, error))

    with closing(backend.read(reads(), cancel.check)) as back:
        for read in back:
            yield read.ref, _decoded(read)
            while refused:
                yield refused.popleft()
    yield from refused


def _decoded(read: _ManifestRead) -> StoredManifest | Exception:
    if isinstance(read.error, NotFound):
        return ArtifactNotFound(read.ref)
    if read.error is not None:
        return read.error
    try:
        return manifest_object.decode(read.data, read.ref)
    except FastDatastoreError as error:
        return error.with_traceback(None)  # it would hold the bytes
