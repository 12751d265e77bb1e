"""What a rival is, and the way of working that several share. Runs in the rival's environment."""

from __future__ import annotations

import importlib.metadata
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")
R = TypeVar("R")

THREADS = 32
"""For many small objects, where the rival's own interface takes one."""


class Rival(ABC):
    """One way to keep objects in S3. The server is in the AWS variables of the process.

    Args:
        options: Of the catalogue.
        directory: An empty directory of its own, on tmpfs, for those that need files.
    """

    distribution = ""
    """The PyPI package whose version is reported."""

    def __init__(self, options: Mapping[str, Any], directory: Path) -> None:
        self.options = options
        self.directory = directory
        self.open()

    @property
    def version(self) -> str:
        """Of the distribution."""
        return importlib.metadata.version(self.distribution)

    @property
    def endpoint(self) -> str:
        """The server's URL."""
        return os.environ["AWS_ENDPOINT_URL"]

    @abstractmethod
    def open(self) -> None:
        """Makes the client; not measured."""

    @abstractmethod
    def put(self, objects: Sequence[Any]) -> list[str]:
        """Keeps the objects; returns what each is found by."""

    @abstractmethod
    def get(self, names: Sequence[str]) -> list[Any]:
        """The objects again, in the order of the names."""

    def freshen(self) -> None:
        """Gives recycled memory back to the system; asked of those that recycle. Not measured."""
        raise NotImplementedError


def in_threads(call: Callable[[T], R], arguments: Sequence[T]) -> list[R]:
    """The results of a call with each of the arguments, several at once."""
    if len(arguments) == 1:
        return [call(arguments[0])]
    with ThreadPoolExecutor(min(THREADS, len(arguments))) as pool:
        return list(pool.map(call, arguments))
