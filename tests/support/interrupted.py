"""An upload that Ctrl-C has stopped, left behind for another to resume."""

from __future__ import annotations

import io
from typing import Any

import pytest

from fastdatastore.config import MIB
from fastdatastore.engine.request import Pairs
from fastdatastore.testing.servers import RunningServer
from tests.support.clients import client_of

PART = 8 * MIB
SIZE = 3 * PART + 4 * MIB  # four parts


class _InterruptedFile(io.BytesIO):
    """Ctrl-C comes while the fourth part is read."""

    def readinto(self, buffer: Any) -> int:
        if self.tell() == 3 * PART:
            raise KeyboardInterrupt
        return super().readinto(buffer)


def leave_behind(server: RunningServer, bucket: str, key: str, content: bytes, headers: Pairs = ()) -> None:
    """Two or three of the four parts of `content` are there then."""
    client = client_of(server, part_size=PART, parts_in_flight=1)
    with pytest.raises(KeyboardInterrupt):
        client.run_one(client.put(bucket, key, _InterruptedFile(content), headers, resume=True))
