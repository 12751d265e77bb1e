"""What is written in an afternoon: boto3's transfer manager, behind pickle or joblib. Option: `module`."""

from __future__ import annotations

import importlib
import io
import uuid
from collections.abc import Sequence
from typing import Any

import boto3
from botocore.config import Config

from bench.artifacts.rival import THREADS, Rival, in_threads
from bench.peers.work import BUCKET


class Store(Rival):
    @property
    def distribution(self) -> str:  # type: ignore[override]
        return "boto3" if self.options["module"] == "pickle" else "joblib"

    def open(self) -> None:
        self.format = importlib.import_module(self.options["module"])
        self.s3 = boto3.client("s3", config=Config(max_pool_connections=THREADS))

    def put(self, objects: Sequence[Any]) -> list[str]:
        return in_threads(self._put, objects)

    def get(self, names: Sequence[str]) -> list[Any]:
        return in_threads(self._get, names)

    def _put(self, made: Any) -> str:
        name = uuid.uuid4().hex
        file = io.BytesIO()
        self.format.dump(made, file)
        file.seek(0)
        self.s3.upload_fileobj(file, BUCKET, name)
        return name

    def _get(self, name: str) -> Any:
        file = io.BytesIO()
        self.s3.download_fileobj(BUCKET, name, file)
        file.seek(0)
        return self.format.load(file)
