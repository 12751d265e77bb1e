"""What a driver lets out under a bandwidth cap, by a clock of our own."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from fastdatastore.engine.admission import Admission
from fastdatastore.engine.job import Job
from fastdatastore.engine.pacing import BURST_SECONDS, Pacer
from fastdatastore.engine.request import Request
from tests.support.clients import client_at

KIB, MIB = 1 << 10, 1 << 20
RATE = 0.1e9 / 8
INLINE = 256 * KIB
ROUND_TRIP = 0.1


class Downloads:
    """Objects of one size, each there a round trip after it was asked for, as many at a time as are admitted."""

    def __init__(self, size: int) -> None:
        remote = client_at("http://127.0.0.1:9").remote
        self.pacer = remote.pacer = Pacer(0.1, 0.0)
        self.admission = Admission(remote)
        self.admission.join()
        self.now = 0.0
        self.size = size
        self.landed = 0
        self.widest = 0
        self.on_the_way: list[tuple[float, Request]] = []

    def run(self, seconds: float) -> None:
        while self.now < seconds:
            while self.admission.admits(request := first_request(), self.now):
                self.on_the_way.append((self.now + ROUND_TRIP, request))
            self.widest = max(self.widest, len(self.on_the_way))
            self.admission.turn(self.now)
            self.now = min([self.now + self.admission.wait, *(due for due, _ in self.on_the_way)])
            there = [request for due, request in self.on_the_way if due <= self.now]
            self.on_the_way = [entry for entry in self.on_the_way if entry[0] > self.now]
            for request in there:
                self.land(request)

    def land(self, request: Request) -> None:
        self.landed += self.size
        self.admission.on_report(request, report(self.size), True, False, self.now)
        assert self.landed <= RATE * (self.now + BURST_SECONDS) + INLINE


def first_request() -> Request:
    """As a GetJob makes it: only the reply tells how long its body is."""
    return Request(Job("bucket", "key"), "GetObject", "GET", "bucket", "key", pause_above=INLINE)


def report(landed: int) -> Any:
    return SimpleNamespace(landed=landed, sent=0)


@pytest.mark.parametrize("size", [INLINE, 100 * KIB])
def test_downloads_of_unknown_size_keep_to_the_cap_from_the_first_on(size: int) -> None:
    downloads = Downloads(size)
    downloads.run(3.0)
    assert downloads.landed == pytest.approx(RATE * 3.0, rel=0.1)


def test_small_ones_are_not_held_back_for_what_they_might_have_been() -> None:
    downloads = Downloads(KIB)
    downloads.run(3.0)
    assert downloads.widest > 100


def test_what_did_not_go_out_or_did_not_come_is_not_counted() -> None:
    downloads = Downloads(INLINE)
    for is_sent in (False, True):
        out = []
        while downloads.admission.admits(request := first_request(), 0.0):
            out.append(request)
        assert downloads.pacer.wait(0.0) > 0.0
        for request in out:
            if is_sent:
                downloads.admission.on_report(request, report(0), False, False, 0.0)
            else:
                downloads.admission.on_withdrawn(request, 0.0)
        assert downloads.pacer.wait(0.0) == 0.0


def test_a_part_counts_what_it_has_more_than_was_guessed() -> None:
    downloads = Downloads(INLINE)
    request = first_request()
    assert downloads.admission.admits(request, 0.0)
    request.target, request.is_large = memoryview(bytearray(8 * MIB)), True
    downloads.admission.on_large(request, 0.0)
    assert downloads.pacer.wait(0.0) == pytest.approx(8 * MIB / RATE)
    downloads.admission.on_report(request, report(8 * MIB), True, False, 0.0)
    assert downloads.pacer.wait(0.0) == pytest.approx(8 * MIB / RATE)
