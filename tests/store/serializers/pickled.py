"""Types for the tests of pickles."""

from __future__ import annotations

import pickle
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Model:
    name: str
    layers: list[Any] = field(default_factory=list)
    callback: Any = None


class Slotted:
    __slots__ = ("handle", "name")

    def __init__(self, handle: Any) -> None:
        self.handle = handle
        self.name = "slotted"


class Tensor:
    """Stands in for a tensor of another library: large memory, given to pickle as a buffer."""

    def __init__(self, memory: Any) -> None:
        self.memory = memory

    @property
    def nbytes(self) -> int:
        return memoryview(self.memory).nbytes

    def __reduce_ex__(self, protocol: Any) -> Any:
        if protocol >= 5:
            return Tensor, (pickle.PickleBuffer(self.memory),)
        return Tensor, (bytearray(self.memory),)


class Broken:
    def __getstate__(self) -> Any:
        raise RuntimeError("no state today")
