"""What a client's adapter is, and the ways of working that several share. Runs in the client's environment."""

from __future__ import annotations

import importlib.metadata
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

PART = 16 << 20
"""Bytes of a part in the tuned settings."""


@dataclass(frozen=True)
class Endpoint:
    """Where the server is, from the AWS variables of the process."""

    url: str
    access_key: str
    secret_key: str
    region: str
    ca_file: str | None

    @classmethod
    def from_environment(cls) -> Endpoint:
        return cls(
            os.environ["AWS_ENDPOINT_URL"],
            os.environ["AWS_ACCESS_KEY_ID"],
            os.environ["AWS_SECRET_ACCESS_KEY"],
            os.environ["AWS_REGION"],
            os.environ.get("AWS_CA_BUNDLE"),
        )

    @property
    def netloc(self) -> str:
        """Host and port."""
        return urlsplit(self.url).netloc

    @property
    def tls(self) -> bool:
        return self.url.startswith("https:")


class Adapter(ABC):
    """One client under measurement.

    Args:
        endpoint: Where the server is.
        options: The setting's, from the catalogue.
        directory: An empty directory of its own, on tmpfs, for clients that need files.
    """

    distribution = ""
    """The PyPI package whose version is reported."""
    wants_files = False
    """Whether it uploads files and not memory: `store` is then given the payload's path."""

    def __init__(self, endpoint: Endpoint, options: Mapping[str, Any], directory: Path) -> None:
        self.endpoint = endpoint
        self.options = options
        self.directory = directory
        self.open()

    @property
    def version(self) -> str:
        """The client's version."""
        return importlib.metadata.version(self.distribution)

    @abstractmethod
    def open(self) -> None:
        """Makes the client; not measured."""

    @abstractmethod
    def fetch(self, bucket: str, keys: Sequence[str], size: int) -> int:
        """Downloads objects of `size` bytes each, drops each when it is whole, and returns the bytes received."""

    @abstractmethod
    def store(self, bucket: str, keys: Sequence[str], payload: bytes | Path) -> None:
        """Uploads the payload under each of the keys."""

    def list_keys(self, bucket: str, directory: str) -> int:
        """Lists all keys below the directory, with what else the client tells of each; returns how many there are.

        Asked of those that the catalogue says list.
        """
        raise NotImplementedError

    def freshen(self) -> None:
        """Gives recycled memory back to the system; asked of those that recycle. Not measured."""
        raise NotImplementedError


class ThreadedAdapter(Adapter):
    """A client that moves one object per call; several at once by a pool of threads, as its users do."""

    threads = 32
    """For small objects; of those the default setting of the client would be no fairer guess."""

    def fetch(self, bucket: str, keys: Sequence[str], size: int) -> int:
        return sum(self._each(lambda key: self.fetch_one(bucket, key, size), keys))

    def store(self, bucket: str, keys: Sequence[str], payload: bytes | Path) -> None:
        assert isinstance(payload, bytes)
        self._each(lambda key: self.store_one(bucket, key, payload), keys)

    def _each(self, call: Callable[[str], Any], keys: Sequence[str]) -> list[Any]:
        if len(keys) == 1:
            return [call(keys[0])]
        with ThreadPoolExecutor(min(int(self.options.get("threads", self.threads)), len(keys))) as pool:
            return list(pool.map(call, keys))

    @abstractmethod
    def fetch_one(self, bucket: str, key: str, size: int) -> int:
        """Downloads one object and returns the bytes received."""

    @abstractmethod
    def store_one(self, bucket: str, key: str, payload: bytes) -> None:
        """Uploads one object."""


def parts(size: int, part: int = PART) -> list[tuple[int, int]]:
    """The (start, end) of each part of `size` bytes."""
    return [(start, min(start + part, size)) for start in range(0, size, part)]
