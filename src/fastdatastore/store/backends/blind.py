"""A back end in which nothing is found, so that a put writes all again: over what has been damaged, say."""

from __future__ import annotations

from collections.abc import Generator, Iterable

from fastdatastore.store.backends.base import Backend, Entry, Existence, R, W, Watch, check_name


class Blind:
    """Another back end, of which nobody is asked what is there."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def __repr__(self) -> str:
        return f"<Blind {self._backend!r}>"

    def found(self, names: Iterable[str], watch: Watch = None) -> Generator[tuple[str, Existence], None, None]:
        """Nothing."""
        for name in names:
            yield check_name(name), None

    def read(self, requests: Iterable[R | None], watch: Watch = None) -> Generator[R, None, None]:
        return self._backend.read(requests, watch)

    def write(self, items: Iterable[W | None], watch: Watch = None) -> Generator[W, None, None]:
        return self._backend.write(items, watch)

    def list(self, prefix: str, watch: Watch = None) -> Generator[Entry, None, None]:
        return self._backend.list(prefix, watch)

    def delete(self, names: Iterable[str], watch: Watch = None) -> bool:
        return self._backend.delete(names, watch)

    def now(self, watch: Watch = None) -> float:
        return self._backend.now(watch)
