"""All chunks of a store, and which of them artifacts hold: 40 bytes of memory a chunk."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple, overload

_DIGEST: Final = 32
_RECORD: Final = 40
_SIZE: Final = slice(32, 39)
_FLAGS: Final = 39
_IS_OLD: Final = 1
_IS_HELD: Final = 2


class Counted(NamedTuple):
    """Attributes: digest: 32 bytes. size: of the stored object. is_old: as it was counted."""

    digest: bytes
    size: int
    is_old: bool


class Census:
    """First add() all chunks, then hold() those that manifests name, then ask.

    In 256 sorted runs, by the first byte of the digest: a million chunks are marked in some seconds.
    """

    def __init__(self) -> None:
        self._runs: list[bytearray] = [bytearray() for _ in range(256)]
        self._is_sorted = False
        self.count = self.size = 0
        self.held_count = self.held_size = 0

    def add(self, digest: bytes, size: int, is_old: bool) -> None:
        """Counts a chunk that is there.

        Args:
            size: Bytes of the object.
            is_old: It may be condemned.
        """
        self._is_sorted = False
        self._runs[digest[0]] += digest + size.to_bytes(7, "little") + bytes([_IS_OLD if is_old else 0])

    def hold(self, digest: bytes) -> bool:
        """A manifest names this chunk; whether it is there."""
        run, at = self._find(digest)
        if at is None:
            return False
        if not run[at + _FLAGS] & _IS_HELD:
            run[at + _FLAGS] |= _IS_HELD
            self.held_count += 1
            self.held_size += int.from_bytes(run[at + _SIZE.start : at + _SIZE.stop], "little")
        return True

    def garbage(self, digest: bytes) -> Counted | None:
        """The chunk, if it is there and no manifest names it."""
        run, at = self._find(digest)
        if at is None or run[at + _FLAGS] & _IS_HELD:
            return None
        return _counted(run, at)

    def all_garbage(self) -> Iterator[Counted]:
        """All chunks that no manifest names."""
        self._sort()
        for run in self._runs:
            for at in range(0, len(run), _RECORD):
                if not run[at + _FLAGS] & _IS_HELD:
                    yield _counted(run, at)

    def _find(self, digest: bytes) -> tuple[bytearray, int | None]:
        self._sort()
        run = self._runs[digest[0]]
        at = bisect_left(_Digests(run), digest) * _RECORD
        return run, at if run[at : at + _DIGEST] == digest else None

    def _sort(self) -> None:
        if self._is_sorted:
            return
        self._is_sorted = True
        self.count = self.size = 0
        for index, run in enumerate(self._runs):
            # A listing may name twice what is written again meanwhile.
            each = {bytes(run[at : at + _DIGEST]): bytes(run[at : at + _RECORD]) for at in range(0, len(run), _RECORD)}
            self._runs[index] = bytearray(b"".join(each[digest] for digest in sorted(each)))
            self.count += len(each)
            self.size += sum(int.from_bytes(record[_SIZE], "little") for record in each.values())


def _counted(run: bytearray, at: int) -> Counted:
    record = bytes(run[at : at + _RECORD])
    return Counted(record[:_DIGEST], int.from_bytes(record[_SIZE], "little"), bool(record[_FLAGS] & _IS_OLD))


class _Digests(Sequence[bytes]):
    """What bisect sees of a run."""

    def __init__(self, run: bytearray) -> None:
        self._run = run

    def __len__(self) -> int:
        return len(self._run) // _RECORD

    @overload
    def __getitem__(self, index: int) -> bytes: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[bytes]: ...
    def __getitem__(self, index: int | slice) -> bytes | Sequence[bytes]:
        if isinstance(index, slice):
            return [self[at] for at in range(*index.indices(len(self)))]
        return bytes(self._run[index * _RECORD : index * _RECORD + _DIGEST])
