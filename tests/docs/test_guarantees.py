"""docs/guarantees.md names tests that are there, and the figures of the code."""

from __future__ import annotations

import re
from pathlib import Path

from fastdatastore.store.collection import timing
from fastdatastore.store.collection.timing import HOUR, MINUTE

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs" / "guarantees.md").read_text()


def test_every_test_that_it_names_is_there() -> None:
    named = re.findall(r"`(tests/[^`]*)`", DOCUMENT)
    assert len(named) > 10
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_its_figures_are_those_of_the_code() -> None:
    assert "**LANDING, 15 minutes**" in DOCUMENT
    assert timing.LANDING == 15 * MINUTE
    assert "**LEASE, 60 minutes**" in DOCUMENT
    assert timing.LEASE == 60 * MINUTE
    assert "to 5 minutes of it (RENEW)" in DOCUMENT
    assert timing.RENEW == 5 * MINUTE
    assert "within 5 minutes (SWEEP)" in DOCUMENT
    assert timing.SWEEP == 5 * MINUTE
    assert "older than 60 minutes (STALE)" in DOCUMENT
    assert timing.STALE == 60 * MINUTE
    assert "younger than 25 minutes (SETTLED)" in DOCUMENT
    assert timing.SETTLED == 25 * MINUTE
    assert "the grace period old (2 hours or more)" in DOCUMENT
    assert timing.LEAST_GRACE == 2 * HOUR
    assert "default grace of 24 hours" in DOCUMENT
    assert timing.GRACE == 24 * HOUR
    assert "younger than 12 hours" in DOCUMENT
    assert timing.YOUNG == 12 * HOUR


def test_the_times_leave_room_for_one_another() -> None:
    assert timing.RENEW + timing.CALL < timing.LEASE
    assert timing.LEASE + 2 * timing.LANDING + timing.MARGIN <= timing.LEAST_GRACE
    assert timing.SWEEP + timing.CALL + timing.LANDING + timing.MARGIN <= timing.STALE
    assert timing.LANDING + timing.MARGIN <= timing.SETTLED
