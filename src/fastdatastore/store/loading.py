"""From refs to objects: manifests, then chunks, then what the serializers make of them."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import closing
from typing import Any, NamedTuple

from fastdatastore.config import MIB
from fastdatastore.errors import FormatError
from fastdatastore.store.backends.base import Backend
from fastdatastore.store.cancel import Cancel
from fastdatastore.store.get import fetch, read_manifests
from fastdatastore.store.manifest import Manifest
from fastdatastore.store.manifest_object import MAX_INLINE, StoredManifest
from fastdatastore.store.serializers import registry

# Manifests at a time: more would not keep a server busier.
_MOST_MANIFESTS = 256


class Loaded(NamedTuple):
    """Attributes: number: of the ref, in the order given. value: the object, unless there is an error."""

    number: int
    error: Exception | None
    value: Any


def load_many(
    backend: Backend,
    refs: Sequence[str],
    *,
    allow_pickle: bool,
    readonly: bool,
    max_bytes: int | None,
    memory: int,
    cancel: Cancel,
) -> Generator[Loaded, None, None]:
    """Yields each object as it comes; one that fails stops no other. The arguments are those of ArtifactStore.get."""
    # A small artifact is in its manifest.
    step = max(1, min(_MOST_MANIFESTS, memory // (MAX_INLINE + MIB)))
    for first in range(0, len(refs), step):
        numbers: dict[str, list[int]] = {}
        for number, ref in enumerate(refs[first : first + step], first):
            numbers.setdefault(ref, []).append(number)
        found: list[tuple[str, StoredManifest]] = []
        with closing(read_manifests(backend, numbers, cancel)) as manifests:
            for ref, stored in manifests:
                error = stored if isinstance(stored, Exception) else _objection(stored.manifest, ref, allow_pickle)
                if error is not None:
                    yield from (Loaded(number, error, None) for number in numbers[ref])
                elif isinstance(stored, StoredManifest):
                    found += [(ref, stored)] * len(numbers[ref])
        manifest_of = {ref: stored.manifest for ref, stored in found}
        with closing(fetch(backend, found, memory=memory, cancel=cancel, max_bytes=max_bytes)) as fetched:
            for ref, buffers in fetched:
                number = numbers[ref].pop()
                if isinstance(buffers, Exception):
                    yield Loaded(number, buffers, None)
                else:
                    yield _load(number, ref, manifest_of[ref], buffers, allow_pickle, readonly)
                del buffers  # while the next one comes, this one is the caller's alone


def _objection(manifest: Manifest, ref: str, allow_pickle: bool) -> Exception | None:
    """Why its chunks need not be fetched."""
    try:
        registry.reader_of(manifest.serializer, manifest.version, allow_pickle=allow_pickle)
    except Exception as error:
        return _of(ref, error)
    return None


def _load(
    number: int, ref: str, manifest: Manifest, buffers: list[memoryview], allow_pickle: bool, readonly: bool
) -> Loaded:
    try:
        value = registry.load(
            manifest.serializer,
            manifest.version,
            dict(manifest.header),
            buffers,
            allow_pickle=allow_pickle,
            readonly=readonly,
        )
    except Exception as error:  # a pickle may raise anything
        return Loaded(number, _of(ref, error), None)
    return Loaded(number, None, value)


def _of(ref: str, error: Exception) -> Exception:
    """The error, which says of which artifact it is."""
    if isinstance(error, FormatError):
        error.place = ref
    else:
        error.add_note(f"It is the artifact {ref}.")
    return error
