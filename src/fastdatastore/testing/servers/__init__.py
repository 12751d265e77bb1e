"""Real S3 servers on free loopback ports, for tests, the demo and the benchmark.

    from fastdatastore.testing import servers

    with servers.start("seaweedfs", tls=True, buckets=("my-bucket",)) as server:
        print(server.url, server.env())

No server outlives the process that started it, even when that is killed, and none leaves a file behind.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import ceph, minio, moto, null, seaweedfs
from .errors import ServerError, ServerStartFailed, ServerUnavailable
from .running import RunningServer

__all__ = [
    "EMBEDDED",
    "NAMES",
    "RunningServer",
    "ServerError",
    "ServerStartFailed",
    "ServerUnavailable",
    "available",
    "start",
    "why_unavailable",
]

NAMES = ("seaweedfs", "minio", "ceph", "moto", "null")
EMBEDDED = "seaweedfs"
"""The server that a newcomer gets: a pip install away, and a real one."""

_START: dict[str, Callable[..., RunningServer]] = {
    "seaweedfs": seaweedfs.start,
    "minio": minio.start,
    "ceph": ceph.start,
    "moto": moto.start,
    "null": null.start,
}
_WHY_UNAVAILABLE: dict[str, Callable[[], str | None]] = {
    "seaweedfs": seaweedfs.why_unavailable,
    "minio": minio.why_unavailable,
    "ceph": ceph.why_unavailable,
    "moto": moto.why_unavailable,
    "null": null.why_unavailable,
}


def why_unavailable(name: str) -> str | None:
    """Why a server cannot be started on this machine.

    Returns:
        None if it can, else a sentence that ends with the command that mends it.

    Raises:
        ValueError: there is no server of that name.
    """
    return _WHY_UNAVAILABLE[_known(name)]()


def available() -> tuple[str, ...]:
    """The servers that this machine can start."""
    return tuple(name for name in NAMES if why_unavailable(name) is None)


def start(name: str, **options: Any) -> RunningServer:
    """Starts a server and waits until it, and no other process, answers.

    Args:
        name: one of `NAMES`.
        options: `tls` (False), `buckets` (names to create), `workdir` (where its temporary directory is
            made), `timeout` (60 seconds until it must answer), and those of the `start` in the server's
            own module.

    Returns:
        The server; a context manager that stops it.

    Raises:
        ServerStartFailed: it did not come up; the message ends with an excerpt of its log. Nothing is left.
        ServerUnavailable: it is not on this machine; the message ends with the command that mends it.
        ValueError: there is no server of that name.
    """
    if (why := why_unavailable(name)) is not None:
        raise ServerUnavailable(why)
    return _START[name](**options)


def _known(name: str) -> str:
    if name not in NAMES:
        raise ValueError(f"there is no server called {name!r}; choose one of: {', '.join(NAMES)}")
    return name
