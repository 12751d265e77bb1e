"""Deleting one artifact: its manifest goes at once, its chunks by the next collections of garbage."""

from __future__ import annotations

from fastdatastore.errors import ArtifactTagged
from fastdatastore.store import deletions, ref, tags
from fastdatastore.store.backends.base import Backend
from fastdatastore.store.cancel import NEVER, Cancel
from fastdatastore.store.collection.timing import SWEEP, SYSTEM, Clock


def delete(
    backend: Backend, artifact: str, *, force: bool = False, clock: Clock = SYSTEM, cancel: Cancel = NEVER
) -> None:
    """Deletes an artifact; that there is none is no error.

    Args:
        artifact: Its ref.
        force: Do not look for tags; those that name it will name nothing.
        clock: Of this machine.

    Raises:
        ArtifactTagged: A tag names it; it is not deleted.
        InvalidRef: It is no ref.
        FormatError: A tag cannot be read; it is not deleted.
        FastDatastoreError: It may be deleted all the same, up to LANDING seconds later.
    """
    digest = ref.digest_of(artifact)
    if force:
        backend.delete([ref.artifact_name(digest)])
        return
    while True:
        began = clock.now()
        said = deletions.announce(backend, digest)
        try:
            named = tags.tags_of(backend, artifact, cancel)
        except BaseException:
            backend.delete([said])
            raise
        if named:
            backend.delete([said])
            raise ArtifactTagged(artifact, named)
        if clock.now() - began <= SWEEP:
            break
    # Whoever tags it meanwhile sees the announcement, or is seen. It stays while a delete may land, and then is void.
    if backend.delete([ref.artifact_name(digest)]):
        backend.delete([said])
