"""As DVC keeps what a stage made: a file, its MD5, an upload under that name; a download and its MD5 to load it.

With its S3 client, s3fs, and without what its caches and links save or cost on a local disk.
"""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import s3fs

from bench.artifacts.rival import THREADS, Rival, in_threads
from bench.peers.work import BUCKET


class Store(Rival):
    distribution = "s3fs"

    def open(self) -> None:
        self.fs = s3fs.S3FileSystem(skip_instance_cache=True, config_kwargs={"max_pool_connections": THREADS})

    def put(self, objects: Sequence[Any]) -> list[str]:
        files = {}
        for index, made in enumerate(objects):
            path = self.directory / f"out-{index}"
            with path.open("wb") as file:
                pickle.dump(made, file)
            files[_md5(path)] = path
        there = in_threads(lambda name: self.fs.exists(_key(name)), list(files))
        missing = [name for name, is_there in zip(files, there, strict=True) if not is_there]
        if missing:
            self.fs.put([str(files[name]) for name in missing], [_key(name) for name in missing])
        for path in files.values():
            path.unlink()
        return list(files)

    def get(self, names: Sequence[str]) -> list[Any]:
        paths = [self.directory / name for name in names]
        self.fs.get([_key(name) for name in names], [str(path) for path in paths])
        return [self._load(path) for path in paths]

    def _load(self, path: Path) -> Any:
        if _md5(path) != path.name:
            raise SystemExit(f"{path.name} is corrupt")
        with path.open("rb") as file:
            made = pickle.load(file)
        path.unlink()
        return made


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()


def _key(name: str) -> str:
    return f"{BUCKET}/files/md5/{name[:2]}/{name[2:]}"
