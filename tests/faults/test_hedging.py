"""A part that hangs does not hold up an upload: it is sent a second time, and the first answer counts."""

from __future__ import annotations

from fastdatastore.config import MIB
from fastdatastore.testing.faults import Latency, Stall
from tests.support.faulty import Way

CONTENT = bytes(200 * MIB)
PARTS = 40
# Nothing that is given up for a stall is sent again by mistake.
LONG = 120.0


def sent(way: Way) -> int:
    return sum(record.operation == "UploadPart" for record in way.proxy.log)


def test_a_part_that_hangs_is_sent_again_beside_it(wire: Way) -> None:
    # The first, so that it is the latest of all when a second attempt is within the budget.
    wire.proxy.add(Stall(at=None, operation="UploadPart", nth=1))
    client = wire.client(parts_in_flight=4, stall_timeout=LONG)
    job = client.run_one(client.put(wire.place.bucket, wire.new, CONTENT))
    assert (wire.struck(Stall), job.retries) == (1, 0)
    assert PARTS < sent(wire) <= PARTS + 2
    assert job.verified_by == "crc64nvme"
    assert client.run_one(client.get(wire.place.bucket, wire.new)).content == CONTENT


def test_slow_parts_within_the_budget_only_are_sent_again(wire: Way) -> None:
    wire.proxy.add(Latency(0.5, jitter=0.4, operation="UploadPart", seed=1))
    client = wire.client(parts_in_flight=8, stall_timeout=LONG)
    client.run_one(client.put(wire.place.bucket, wire.new, CONTENT))
    assert PARTS <= sent(wire) <= PARTS + 2
