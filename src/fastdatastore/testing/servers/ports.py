"""Free loopback ports, and who listens on one."""

from __future__ import annotations

import random
import socket
import sys
from collections.abc import Iterable
from pathlib import Path

__all__ = ["HOST", "free_ports", "is_free", "listens"]

HOST = "127.0.0.1"
# Below every system's ephemeral range (Linux 32768.., macOS 49152..), so that no outgoing connection takes a
# port between our look and the server's bind; and so low that port + 10000, SeaweedFS's gRPC, is too.
_FIRST, _LAST = 10_240, 22_000
_LISTEN = "0A"  # the state's code in /proc/net/tcp


def is_free(port: int) -> bool:
    """Whether a server could bind the port on loopback now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True


def free_ports(count: int, *, offsets: Iterable[int] = (0,)) -> list[int]:
    """Picks ports at random, so that two processes that pick at once hardly ever pick the same.

    Args:
        count: how many.
        offsets: port + offset must be free for each of these.
    """
    offsets = tuple(offsets)
    chosen: list[int] = []
    taken: set[int] = set()
    for port in random.sample(range(_FIRST, _LAST), 2_000):
        wanted = {port + offset for offset in offsets}
        if taken.isdisjoint(wanted) and all(map(is_free, wanted)):
            chosen.append(port)
            taken |= wanted
            if len(chosen) == count:
                return chosen
    raise OSError(f"no {count} free ports between {_FIRST} and {_LAST} on {HOST}")


def listens(pids: Iterable[int], port: int) -> bool | None:
    """Whether one of these processes listens on the port; None where that cannot be told (no /proc)."""
    if sys.platform != "linux":
        return None
    inodes = set()
    for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")):
        if table.exists():
            for row in table.read_text().splitlines()[1:]:
                fields = row.split()
                if fields[3] == _LISTEN and int(fields[1].rpartition(":")[2], 16) == port:
                    inodes.add(f"socket:[{fields[9]}]")
    return any(_holds(pid, inodes) for pid in pids)


def _holds(pid: int, sockets: set[str]) -> bool:
    try:
        return any(_target(descriptor) in sockets for descriptor in Path(f"/proc/{pid}/fd").iterdir())
    except OSError:  # the process has just ended
        return False


def _target(descriptor: Path) -> str:
    try:
        return str(descriptor.readlink())
    except OSError:  # the descriptor has just been closed
        return ""
