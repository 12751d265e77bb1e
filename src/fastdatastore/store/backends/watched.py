"""A back end whose every call can be called off."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable

from fastdatastore.store.backends.base import Backend, Entry, Existence, R, W, Watch


class Watched:
    """Another back end, with somebody who watches all its calls beside whom they have themselves.

    Args:
        watch: As for Backend.read: what it raises ends the call.
    """

    def __init__(self, backend: Backend, watch: Callable[[], None]) -> None:
        self._backend = backend
        self._watch = watch

    def __repr__(self) -> str:
        return repr(self._backend)

    def found(self, names: Iterable[str], watch: Watch = None) -> Generator[tuple[str, Existence], None, None]:
        return self._backend.found(names, self._both(watch))

    def read(self, requests: Iterable[R | None], watch: Watch = None) -> Generator[R, None, None]:
        return self._backend.read(requests, self._both(watch))

    def write(self, items: Iterable[W | None], watch: Watch = None) -> Generator[W, None, None]:
        return self._backend.write(items, self._both(watch))

    def list(self, prefix: str, watch: Watch = None) -> Generator[Entry, None, None]:
        return self._backend.list(prefix, self._both(watch))

    def delete(self, names: Iterable[str], watch: Watch = None) -> bool:
        return self._backend.delete(names, self._both(watch))

    def now(self, watch: Watch = None) -> float:
        return self._backend.now(self._both(watch))

    def _both(self, watch: Watch) -> Callable[[], None]:
        if watch is None:
            return self._watch

        def both() -> None:
            self._watch()
            watch()

        return both
