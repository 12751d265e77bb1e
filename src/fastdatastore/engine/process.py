"""What a process has once: data plane, buffer pool and tickets, count of results. A fork's child gets its own."""

from __future__ import annotations

import atexit
import os
import threading
from types import ModuleType

from fastdatastore.config import Settings
from fastdatastore.engine.ceiling import ResultMemory
from fastdatastore.engine.planes.local import local as _native
from fastdatastore.engine.tickets import Tickets

_lock = threading.Lock()
_planes: dict[str, _native.Plane] = {}  # by the name of their module: an endpoint behind a proxy has another one
_tickets: Tickets | None = None
_results = ResultMemory()


def plane(module: ModuleType, settings: Settings) -> _native.Plane:
    """The process's data plane of this module; the first caller's settings decide its number of loops."""
    with _lock:
        found = _planes.get(module.__name__)
        if found is None or found.closed:
            found = _planes[module.__name__] = module.Plane(settings.loops)
        return found


def buffer_pool(settings: Settings | None = None) -> _native.BufferPool:
    """The process's recycled memory; the first caller's settings (None: the environment's) decide how much is kept."""
    return tickets(settings).pool


def tickets(settings: Settings | None = None) -> Tickets:
    """Who asks before taking of the buffer pool."""
    global _tickets
    with _lock:
        if _tickets is None:
            _tickets = Tickets(_native.BufferPool((settings or Settings()).memory_ceiling), _results)
        return _tickets


def result_memory() -> ResultMemory:
    """The process's count of the results that are in memory."""
    return _results


def _close() -> None:
    with _lock:  # threads that outlive the interpreter's end may still be at it
        open_ones = list(_planes.values())
    for each in open_ones:
        each.close()


def _before_fork() -> None:
    _lock.acquire()
    for each in _planes.values():
        each.before_fork()


def _after_fork_in_parent() -> None:
    for each in _planes.values():
        each.after_fork_in_parent()
    _lock.release()


def _after_fork_in_child() -> None:
    global _tickets, _results
    for each in _planes.values():
        each.after_fork_in_child()
    _planes.clear()
    # Regions that are in use go on in the child as private copies; the free list was never inherited.
    _tickets = None
    _results = ResultMemory()
    _lock.release()


atexit.register(_close)
if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)
