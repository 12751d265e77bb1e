"""Who takes part: those that are made for large objects, each set up as its users would for such a link."""

from __future__ import annotations

from dataclasses import dataclass, field

from bench.peers.catalogue import Client, Setting


@dataclass(frozen=True)
class Entrant:
    """A row: one client in one setting."""

    client: Client
    setting: Setting = field(default_factory=Setting)

    @property
    def name(self) -> str:
        """What the row is called."""
        return self.client.name if self.setting.name == "default" else f"{self.client.name} {self.setting.name}"


# Objects under way at once, in one call, of clients that would otherwise begin all of them and not have the memory.
AT_ONCE = 4

_AWSCRT = Client("awscrt", "awscrt_client", "boto3")
_AWSCRT_CHECKED = Client("awscrt CRC-64/NVME", "awscrt_client", "boto3")
_S5CMD = Client("s5cmd", "s5cmd_client", "programs")

ENTRANTS = (
    Entrant(Client("fastdatastore", "fastdatastore_client")),
    Entrant(_AWSCRT, Setting(options={"at_once": AT_ONCE})),  # has a target of 10 Gbit/s by itself
    Entrant(_AWSCRT_CHECKED, Setting(options={"at_once": AT_ONCE, "checksum": True})),
    Entrant(_S5CMD, Setting(options={"workers": AT_ONCE})),
    # 5 parts of 50 MiB at once of each file are its default: 4 Gbit/s up to such a server at most, so it is told.
    Entrant(_S5CMD, Setting("24x16MiB", {"workers": AT_ONCE, "part": 16, "concurrency": 24})),
)
