"""What the verbs of a store do, until a Cancel calls them off; store.py and aio.py say them to the user."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import closing
from datetime import timedelta
from typing import Any, TypeAlias

from fastdatastore.errors import ConfigurationError
from fastdatastore.store import delete, ref, tags, verify
from fastdatastore.store.backends.blind import Blind
from fastdatastore.store.cancel import Cancel
from fastdatastore.store.collection.gc import gc
from fastdatastore.store.collection.report import GcReport
from fastdatastore.store.face import Face
from fastdatastore.store.listing import ArtifactEntry, listed
from fastdatastore.store.loading import load_many
from fastdatastore.store.put.many import put_many
from fastdatastore.store.put.outline import Prepared, prepare
from fastdatastore.store.stat import ArtifactStat, stat
from fastdatastore.store.verify import Finding, Verified

Step: TypeAlias = Callable[[str], None]
"""Is told what is being done, at each step of what takes long."""


class Work(Face):
    """Each method checks what it is given before it asks for anything; several refs are checked by check_refs."""

    def _put(self, objects: Iterable[object], return_errors: bool, rewrite: bool, cancel: Cancel) -> list[Any]:
        """The refs in the order of the objects; errors in their places, or the first one raised."""
        outcomes: dict[int, str | Exception] = {}
        with self._call(cancel, make=True):
            # The back end itself: what one put learns of its rates is for the next one, too.
            stored = put_many(
                Blind(self._backend) if rewrite else self._backend,
                objects,
                lease=self._lease,
                compression=self._compression,
                memory=self._memory,
                cancel=cancel,
            )
            with closing(stored):
                for number, outcome in stored:
                    if isinstance(outcome, Exception) and not return_errors:
                        raise outcome
                    outcomes[number] = outcome
        return [outcomes[number] for number in range(len(outcomes))]

    def _prepare(self, obj: object, cancel: Cancel) -> Prepared:
        self._check_open()
        return prepare(obj)

    def _get(
        self,
        refs: Sequence[str],
        allow_pickle: bool,
        readonly: bool,
        max_bytes: int | None,
        return_errors: bool,
        cancel: Cancel,
    ) -> list[Any]:
        """The objects in the order of the refs; errors in their places, or the first one raised."""
        if max_bytes is not None and (type(max_bytes) is not int or max_bytes < 0):
            raise ConfigurationError(f"max_bytes is a number of bytes or None, got {max_bytes!r}")
        results: list[Any] = [None] * len(refs)
        with self._call(cancel) as backend:
            loaded = load_many(
                backend,
                refs,
                allow_pickle=allow_pickle,
                readonly=readonly,
                max_bytes=max_bytes,
                memory=self._memory,
                cancel=cancel,
            )
            with closing(loaded):
                for number, error, value in loaded:
                    if error is not None and not return_errors:
                        raise error
                    results[number] = value if error is None else error
                    del value
        return results

    def _delete(self, artifact: str, force: bool, cancel: Cancel) -> None:
        ref.digest_of(artifact)
        with self._call(cancel) as backend:
            delete.delete(backend, artifact, force=force, cancel=cancel)

    def _tag(self, name: str, artifact: str, expected: Any, cancel: Cancel) -> None:
        ref.digest_of(artifact)
        with self._call(cancel) as backend:
            tags.set_tag(backend, self._lease, name, artifact, expected=expected, cancel=cancel)

    def _resolve(self, name: str, cancel: Cancel) -> str:
        with self._call(cancel) as backend:
            return tags.resolve(backend, name)

    def _delete_tag(self, name: str, cancel: Cancel) -> None:
        with self._call(cancel) as backend:
            tags.delete_tag(backend, name)

    def _tags(self, cancel: Cancel) -> dict[str, str]:
        with self._call(cancel) as backend:
            return dict(sorted(tags.sound_tags(backend, cancel)))

    def _stat(self, artifact: str, cancel: Cancel) -> ArtifactStat:
        ref.digest_of(artifact)
        with self._call(cancel) as backend:
            return stat(backend, artifact, memory=self._memory, cancel=cancel)

    def _list(self, details: bool, cancel: Cancel) -> Generator[ArtifactEntry, None, None]:
        with (
            self._call(cancel) as backend,
            closing(listed(backend, details=details, memory=self._memory, cancel=cancel)) as found,
        ):
            yield from found

    def _verify(
        self, refs: Sequence[str] | None, progress: Step | None, cancel: Cancel
    ) -> Generator[Finding, None, Verified]:
        with self._call(cancel) as backend:
            findings = verify.verify(backend, refs, cancel=cancel, progress=progress or _ignored)
            with closing(findings):
                return (yield from findings)

    def _gc(
        self,
        grace: float | timedelta,
        untagged: bool,
        older_than: float | timedelta | None,
        exclusive: bool,
        dry_run: bool,
        progress: Step | None,
        cancel: Cancel,
    ) -> GcReport:
        seconds = _seconds("grace", grace)
        age = None if older_than is None else _seconds("older_than", older_than)
        with self._call(cancel) as backend:
            return gc(
                backend,
                grace=seconds,
                untagged=untagged,
                older_than=age,
                exclusive=exclusive,
                dry_run=dry_run,
                progress=progress or _ignored,
                cancel=cancel,
            )


def several(what: Iterable[Any], verb: str) -> Iterable[Any]:
    """What is given to a verb that takes several.

    Raises:
        ConfigurationError: It is one, which would be taken apart.
    """
    is_one = isinstance(what, str | bytes | bytearray | memoryview | Mapping) or hasattr(what, "__dataframe__")
    if is_one or not hasattr(what, "__iter__"):
        raise ConfigurationError(f"{verb} takes several, such as a list; got one {type(what).__name__}: give [it]")
    return what


def check_refs(refs: Iterable[str], verb: str) -> list[str]:
    """The refs that are given to a verb that takes several.

    Raises:
        ConfigurationError: It is one. InvalidRef: One of them is none.
    """
    listed = [*several(refs, verb)]
    for each in listed:
        ref.digest_of(each)
    return listed


def check_prepared(prepared: object) -> Prepared:
    """What is given to commit.

    Raises:
        TypeError: It was not prepared.
    """
    if not isinstance(prepared, Prepared):
        raise TypeError(f"commit takes what prepare() made, got a {type(prepared).__name__}; put() takes objects")
    return prepared


def _ignored(step: str) -> None:
    """Nobody wants to know."""


def _seconds(name: str, value: float | timedelta) -> float:
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds < float("inf"):
        raise ConfigurationError(f"{name} is a number of seconds, or a timedelta, of at least 0; got {value!r}")
    return float(seconds)
