"""What Metaflow does with artifacts: its ContentAddressedStore over its S3Storage, behind pickle protocol 4.

All of them in one save and one load, which is the best that a flow can do: attributes of a task load one by one.
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Sequence
from typing import Any

from bench.artifacts.rival import Rival
from bench.peers.work import BUCKET


class Store(Rival):
    distribution = "metaflow"

    def open(self) -> None:
        os.environ["METAFLOW_S3_ENDPOINT_URL"] = self.endpoint
        from metaflow.datastore.content_addressed_store import ContentAddressedStore
        from metaflow.plugins.datastores.s3_storage import S3Storage

        self.store = ContentAddressedStore("flow/data", S3Storage(f"s3://{BUCKET}/metaflow"))

    def put(self, objects: Sequence[Any]) -> list[str]:
        pickles = (pickle.dumps(made, protocol=4) for made in objects)
        return [saved.key for saved in self.store.save_blobs(pickles, len_hint=len(objects))]

    def get(self, names: Sequence[str]) -> list[Any]:
        found = {key: pickle.loads(blob) for key, blob in self.store.load_blobs(names)}
        return [found[name] for name in names]
