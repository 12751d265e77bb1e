"""An upload that Ctrl-C has stopped, left behind for another to resume."""

from __future__ import annotations

import io
from typing import Any

import pytest

from fastdatastore.config import MIB
from fastdatastore.engine.put import PutJob
from fastdatastore.engine.request import Pairs
from fastdatastore.testing.servers import RunningServer
from tests.support.clients import client_of

PART = 8 * MIB
SIZE = 3 * PART + 4 * MIB


class _InterruptedFile(io.BytesIO):
    """Ctrl-C comes while the last part is read to be sent; before, all of it may be looked at."""

    job: PutJob

    def readinto(self, buffer: Any) -> int:
        if self.tell() > 16 * MIB and self.job.upload_id:
            raise KeyboardInterrupt
        return super().readinto(buffer)


def leave_behind(server: RunningServer, bucket: str, key: str, content: bytes, headers: Pairs = ()) -> None:
    """All but the last part or two of `content` are there then."""
    client = client_of(server, part_size=PART, parts_in_flight=1)
    file = _InterruptedFile(content)
    file.job = client.put(bucket, key, file, headers, resume=True)
    with pytest.raises(KeyboardInterrupt):
        client.run_one(file.job)
