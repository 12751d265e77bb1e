"""What a process and its forked children share: temporary credentials, so that a service is asked once for all of them.

They are kept in anonymous memory that the children inherit: never on a disk, and gone with the last process. It is made
by the first fork. Where the system has no such memory each process asks for itself.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

try:
    import fcntl
except ImportError:  # Windows, which has no fork either
    fcntl = None  # type: ignore[assignment]

# A process that has taken its turn and then stands still (a debugger, SIGSTOP) holds the others up no longer than this.
PATIENCE_SECONDS = 10.0
_LOOK_SECONDS = 0.02

_descriptor = -1
_inode = (0, 0)  # device and number: a daemon closes all descriptors, and opens files of its own under their numbers


@dataclass(frozen=True)
class Grant:
    """Credentials as a service gave them; without a session token `token` is "". `expires` is of time.time()."""

    access_key: str = field(repr=False)
    secret_key: str = field(repr=False)
    token: str = field(repr=False)
    expires: float


class Shelf:
    """Where the family keeps the grant of one identity; without memory, nowhere."""

    def __init__(self, memory: int, identity: str) -> None:
        self._memory = memory
        self._identity = identity

    def read(self) -> Grant | None:
        """The last grant; it may have expired."""
        row = self._rows().get(self._identity)
        return Grant(*row) if row else None

    def write(self, grant: Grant) -> None:
        if self._memory < 0:
            return
        now = time.time()
        rows = {name: row for name, row in self._rows().items() if row[3] > now}
        rows[self._identity] = (grant.access_key, grant.secret_key, grant.token, grant.expires)
        os.ftruncate(self._memory, 0)
        os.pwrite(self._memory, json.dumps(rows).encode(), 0)

    def _rows(self) -> dict[str, tuple[str, str, str, float]]:
        if self._memory < 0:
            return {}
        content = os.pread(self._memory, os.fstat(self._memory).st_size, 0)
        try:
            rows: dict[str, tuple[str, str, str, float]] = json.loads(content or b"{}")
        except ValueError:  # its writer was killed
            return {}
        return rows


@contextlib.contextmanager
def turn(identity: str) -> Iterator[Shelf]:
    """Waits until no other process of the family is asking, then gives the shelf. For one thread at a time."""
    memory = _memory()
    is_ours = memory >= 0 and _take_turn(memory)
    try:
        yield Shelf(memory, identity)
    finally:
        if is_ours:
            fcntl.lockf(memory, fcntl.LOCK_UN)


def _take_turn(memory: int) -> bool:
    # A record lock: it belongs to the process, not to the descriptor that parent and children share.
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        try:
            fcntl.lockf(memory, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            time.sleep(random.uniform(0.5, 1.5) * _LOOK_SECONDS)
        else:
            return True
    return False


def _memory() -> int:
    """Its descriptor; -1: there is none, or no longer."""
    if _descriptor < 0:
        return -1
    try:
        stat = os.fstat(_descriptor)
    except OSError:
        return -1
    return _descriptor if (stat.st_dev, stat.st_ino) == _inode else -1


def _make() -> None:
    global _descriptor, _inode
    if _memory() < 0:
        with contextlib.suppress(OSError):  # out of descriptors: each process asks for itself
            _descriptor = os.memfd_create("fastdatastore", os.MFD_CLOEXEC)
            stat = os.fstat(_descriptor)
            _inode = stat.st_dev, stat.st_ino


if hasattr(os, "memfd_create") and fcntl is not None:
    os.register_at_fork(before=_make)
