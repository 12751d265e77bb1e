"""s3torchconnector: its native client, mountpoint-s3's, without the package that wraps it (and needs all of torch).

Options: `part`, `gbps`.
"""

from __future__ import annotations

from typing import Any

from s3torchconnectorclient._mountpoint_s3_client import MountpointS3Client

from bench.peers.adapter import ThreadedAdapter


class Client(ThreadedAdapter):
    distribution = "s3torchconnectorclient"

    def open(self) -> None:
        settings: dict[str, Any] = {}
        if "part" in self.options:
            settings = {"part_size": self.options["part"], "throughput_target_gbps": self.options["gbps"]}
        self.client = MountpointS3Client(
            self.endpoint.region, endpoint=self.endpoint.url, force_path_style=True, **settings
        )

    def fetch_one(self, bucket: str, key: str, size: int) -> int:
        # What its readers do: the chunks of the stream, joined.
        return len(b"".join(self.client.get_object(bucket, key)))

    def store_one(self, bucket: str, key: str, payload: bytes) -> None:
        stream = self.client.put_object(bucket, key)
        stream.write(payload)
        stream.close()
