"""Parquet by pandas and pyarrow over s3fs; an array is a table of one column."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import s3fs

from bench.artifacts.rival import Rival
from bench.peers.work import BUCKET


class Store(Rival):
    distribution = "pyarrow"

    def open(self) -> None:
        self.fs = s3fs.S3FileSystem(skip_instance_cache=True)

    def put(self, objects: Sequence[Any]) -> list[str]:
        return [self._put(made) for made in objects]

    def get(self, names: Sequence[str]) -> list[Any]:
        self.fs.invalidate_cache()
        return [self._get(name) for name in names]

    def _put(self, made: Any) -> str:
        name = f"{BUCKET}/{uuid.uuid4().hex}.{'array' if isinstance(made, np.ndarray) else 'frame'}"
        if isinstance(made, np.ndarray):
            pq.write_table(pa.table({"values": made}), name, filesystem=self.fs)
        else:
            made.to_parquet(name, filesystem=self.fs)
        return name

    def _get(self, name: str) -> Any:
        if name.endswith(".array"):
            return pq.read_table(name, filesystem=self.fs)["values"].to_numpy()
        return pd.read_parquet(name, filesystem=self.fs)
