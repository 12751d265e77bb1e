"""What ArtifactStore and AsyncArtifactStore have in common: how they are made, shown, pickled, opened and closed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar, Unpack

from fastdatastore import forks
from fastdatastore.config import Settings
from fastdatastore.errors import ConfigurationError
from fastdatastore.store import compression as compressing
from fastdatastore.store import opening
from fastdatastore.store.backends.base import Backend
from fastdatastore.store.backends.watched import Watched
from fastdatastore.store.cancel import NEVER, Cancel
from fastdatastore.store.collection.lease import Lease
from fastdatastore.store.compression import Setting
from fastdatastore.store.parameters import Parameters

if TYPE_CHECKING:
    from fastdatastore.engine.client import Client
    from fastdatastore.s3.connections import Connection

F = TypeVar("F", bound="Face")


class Face:
    """The arguments are those of ArtifactStore."""

    def __init__(
        self,
        url: str,
        *,
        compression: Setting = "auto",
        durable: bool = True,
        **connection: Unpack[Connection],
    ) -> None:
        self._backend = opening.open_backend(url, durable=durable, **connection)
        self._url = url
        self._compression = compressing.check(compression)
        self._durable = durable
        self._client: Client | None = getattr(self._backend, "client", None)  # a directory has none
        # Of the process's ceiling the other half is for what is on the way.
        self._memory = (self._client.settings if self._client else Settings()).memory_ceiling // 2
        self._lock = forks.lock()
        self._calls = 0
        self._is_closed = False
        self._parameters: Parameters | None = None
        self._lease, self._process = Lease(self._backend), os.getpid()

    @property
    def url(self) -> str:
        """Where the store is, as it was given."""
        return self._url

    # ---- shown and pickled ----

    def __repr__(self) -> str:
        where = f"{self._url} at {self._client.remote.endpoint}" if self._client else self._url
        known = "not looked at yet" if self._parameters is None else f"id {self._parameters.id}"
        state = "closed" if self._is_closed else f"calls under way: {self._calls}"
        return f"<{type(self).__name__} {where} | {known} | {state}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return _unpickle, (type(self), self._url, self._compression, self._durable, self._client)

    # ---- opened and closed ----

    def _close(self) -> None:
        self._is_closed = True

    @contextmanager
    def _call(self, cancel: Cancel, *, make: bool = False) -> Iterator[Backend]:
        """Around all that is asked of the store, which is looked for first; gives a back end that can be called off.

        Args:
            make: Make the store where there is none.
        """
        self._check_open()
        with self._lock:
            self._calls += 1
        try:
            backend = self._backend if cancel is NEVER else Watched(self._backend, cancel.check)
            if self._parameters is None:
                self._parameters = (opening.find_or_make if make else opening.find)(backend, self._url)
            yield backend
        finally:
            with self._lock:
                self._calls -= 1

    def _check_open(self) -> None:
        if self._is_closed:
            raise ConfigurationError(f"the store {self._url} was closed; make another ArtifactStore")
        if self._process != os.getpid():  # what was known of the register was the parent's
            self._lease, self._calls, self._process = Lease(self._backend), 0, os.getpid()


def _unpickle(kind: type[F], url: str, compression: Setting, durable: bool, client: Client | None) -> F:
    return kind(url, compression=compression, durable=durable, client=client)
