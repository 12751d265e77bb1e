"""Any object that can be pickled: protocol 4, in pieces of at most 16 MiB (larger bytes objects as they are).

Header: {"type": qualified name}, for people. The buffers, one after the other, are the pickle.

Classes and functions of __main__, which another program could not import, and what pickle cannot do, such as lambdas,
go by value, by cloudpickle if it is installed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastdatastore.store.serializers import pickling
from fastdatastore.store.serializers.base import Collected, Description, Header, Serialized, Sink


class PickleStream:
    id = "pickle"
    version = 1
    uses_pickle = True

    def accepts(self, obj: object) -> bool:
        return True

    def dump(self, obj: Any) -> Serialized:
        collected = Collected()
        header = self.stream(obj, collected)
        return Serialized(self.id, self.version, header, collected.buffers)

    def stream(self, obj: Any, sink: Sink) -> Header:
        pickling.dump(obj, 4, sink)
        return pickling.header_of(obj)

    def load(self, version: int, header: Header, buffers: list[memoryview], *, readonly: bool) -> Any:
        """Nothing of a pickle can be read-only."""
        return pickling.load(buffers)

    def describe(self, header: Header, lengths: Sequence[int], buffers: Sequence[memoryview | None]) -> Description:
        return Description(str(header["type"]))


SERIALIZER = PickleStream()
