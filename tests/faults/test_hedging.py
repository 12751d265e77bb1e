"""A part that hangs does not hold up an upload: it is sent a second time, and the first answer counts."""

from __future__ import annotations

import time

from fastdatastore.config import MIB
from fastdatastore.testing.faults import Latency
from tests.support.faulty import Way

CONTENT = bytes(200 * MIB)


def test_a_part_that_hangs_is_sent_again_beside_it(wire: Way) -> None:
    # After 150 MiB a second attempt of 5 MiB is within the budget of 5 %.
    wire.proxy.add(Latency(8.0, operation="UploadPart", nth=35))
    client = wire.client(parts_in_flight=4, stall_timeout=30.0)
    began = time.monotonic()
    job = client.run_one(client.put(wire.place.bucket, wire.new, CONTENT))
    assert time.monotonic() - began < 7.0
    assert job.verified_by == "crc64nvme"
    assert client.run_one(client.get(wire.place.bucket, wire.new)).content == CONTENT


def test_slow_parts_within_the_budget_only_are_sent_again(wire: Way) -> None:
    wire.proxy.add(Latency(0.5, jitter=0.4, operation="UploadPart", seed=1))
    client = wire.client(parts_in_flight=8)
    client.run_one(client.put(wire.place.bucket, wire.new, CONTENT))
    sent = sum(1 for record in wire.proxy.log if record.operation == "UploadPart")
    assert 40 <= sent <= 42
