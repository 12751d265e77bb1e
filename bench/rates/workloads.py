"""The link, and the ways to keep it busy."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import Any

from bench.peers.work import Verb, Work


@dataclass(frozen=True)
class Link:
    """What the null server makes of loopback; as it stands here it is the model of S3 from a good machine.

    Attributes:
        gbps: Of all connections together, in each direction, Gbit/s (10^9 bits a second).
        down_mb_per_s, up_mb_per_s: Of one connection, MB/s (10^6 bytes a second).
    """

    gbps: float = 10.0
    down_mb_per_s: float = 90.0
    up_mb_per_s: float = 20.0
    first_byte_ms: float = 30.0
    idle_close_ms: float = 5000.0

    def scaled(self, share: float) -> Link:
        """All rates times `share`: of the same shape, for machines that cannot do so much."""
        return Link(
            self.gbps * share,
            self.down_mb_per_s * share,
            self.up_mb_per_s * share,
            self.first_byte_ms,
            self.idle_close_ms,
        )

    @property
    def server_options(self) -> dict[str, Any]:
        """Arguments for the null server."""
        return {
            "link_gbps": self.gbps,
            "down_mb_per_s": self.down_mb_per_s,
            "up_mb_per_s": self.up_mb_per_s,
            "latency_ms": self.first_byte_ms,
            "idle_close_ms": self.idle_close_ms,
        }

    def __str__(self) -> str:
        return (
            f"{self.gbps:g} Gbit/s, of one connection {self.down_mb_per_s:g} MB/s down and {self.up_mb_per_s:g} up, "
            f"{self.first_byte_ms:g} ms to the first byte"
        )


@dataclass(frozen=True)
class Workload:
    """Objects of one size, one after another, until the time is up.

    Attributes:
        one_by_one: Each in a call of its own, instead of all in one call.
    """

    verb: Verb
    one_by_one: bool

    def work(self, link: Link, size: int, seconds: float) -> Work:
        """More objects than the link moves in that time."""
        return Work(self.verb, 8 + ceil(1.2 * link.gbps * 125e6 * seconds / size), size)


WORKLOADS = {
    f"{verb}-{name}": Workload(verb, one_by_one)
    for name, one_by_one in (("in-one-call", False), ("one-by-one", True))
    for verb in ("get", "put")
}
