"""What a process has once: the data plane and the buffer pool. A fork's child gets its own on first use."""

from __future__ import annotations

import atexit
import os
import threading

from fastdatastore import _native
from fastdatastore.config import Settings

_lock = threading.Lock()
_plane: _native.Plane | None = None
_pool: _native.BufferPool | None = None


def plane(settings: Settings) -> _native.Plane:
    """The process's data plane; the first caller's settings decide its number of loops."""
    global _plane
    with _lock:
        if _plane is None or _plane.closed:
            _plane = _native.Plane(settings.loops)
        return _plane


def buffer_pool(settings: Settings) -> _native.BufferPool:
    """The process's recycled memory; the first caller's settings decide how much is kept free."""
    global _pool
    with _lock:
        if _pool is None:
            _pool = _native.BufferPool(settings.memory_ceiling)
        return _pool


def _close() -> None:
    if _plane is not None:
        _plane.close()


_held: _native.Plane | None = None


def _before_fork() -> None:
    global _held
    _lock.acquire()
    _held = _plane
    if _held is not None:
        _held.before_fork()


def _after_fork_in_parent() -> None:
    if _held is not None:
        _held.after_fork_in_parent()
    _lock.release()


def _after_fork_in_child() -> None:
    global _plane, _pool
    if _held is not None:
        _held.after_fork_in_child()
    # Regions that are in use go on in the child as private copies; the free list was never inherited.
    _plane = _pool = None
    _lock.release()


atexit.register(_close)
os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)
