"""s3fs: cat and pipe of fsspec. Options: `part`, `in_flight`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import s3fs

from bench.peers.adapter import Adapter


class Client(Adapter):
    distribution = "s3fs"

    def open(self) -> None:
        in_flight = self.options.get("in_flight")
        settings: dict[str, Any] = {}
        if in_flight:
            settings = {"max_concurrency": in_flight, "default_block_size": self.options["part"]}
        config = {"max_pool_connections": in_flight or 32}
        self.fs = s3fs.S3FileSystem(config_kwargs=config, skip_instance_cache=True, **settings)

    def fetch(self, bucket: str, keys: Sequence[str], size: int) -> int:
        # It keeps sizes of objects between calls, which a process that reads an object once would not have.
        self.fs.invalidate_cache()
        if len(keys) == 1:
            return len(self.fs.cat_file(f"{bucket}/{keys[0]}"))
        return sum(map(len, self.fs.cat([f"{bucket}/{key}" for key in keys]).values()))

    def store(self, bucket: str, keys: Sequence[str], payload: bytes | Path) -> None:
        assert isinstance(payload, bytes)
        if len(keys) == 1:
            part = {"chunksize": self.options["part"]} if "part" in self.options else {}
            self.fs.pipe_file(f"{bucket}/{keys[0]}", payload, **part)
        else:
            self.fs.pipe({f"{bucket}/{key}": payload for key in keys})
