"""Metaflow's S3: get and put of one object in the process, the other verbs by worker processes of its own. And ours.

Options: `module` that S3 is imported from (all that a user changes), `workers`.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Sequence
from pathlib import Path

from bench.peers.adapter import Adapter


class Client(Adapter):
    @property
    def version(self) -> str:
        return str(self.module.__version__)

    def open(self) -> None:
        os.environ["METAFLOW_S3_ENDPOINT_URL"] = self.endpoint.url
        if self.endpoint.ca_file:
            os.environ["METAFLOW_S3_VERIFY_CERTIFICATE"] = self.endpoint.ca_file
        if "workers" in self.options:
            os.environ["METAFLOW_S3_WORKER_COUNT"] = str(self.options["workers"])
        self.module = importlib.import_module(self.options.get("module", "metaflow"))
        self.s3 = self.module.S3

    def fetch(self, bucket: str, keys: Sequence[str], size: int) -> int:
        with self.s3(s3root=f"s3://{bucket}", tmproot=str(self.directory)) as s3:
            if len(keys) == 1:
                return len(s3.get(keys[0]).blob)
            return sum(len(found.blob) for found in s3.get_many(keys))

    def store(self, bucket: str, keys: Sequence[str], payload: bytes | Path) -> None:
        with self.s3(s3root=f"s3://{bucket}", tmproot=str(self.directory)) as s3:
            if len(keys) == 1:
                s3.put(keys[0], payload)
            else:
                s3.put_many([(key, payload) for key in keys])

    def list_keys(self, bucket: str, directory: str) -> int:
        with self.s3(s3root=f"s3://{bucket}", tmproot=str(self.directory)) as s3:
            return len(s3.list_recursive([directory]))
