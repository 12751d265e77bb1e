"""Faults whose outcome a real server decides: what it refuses, what it has stored, what is left behind there.

Numbers name the cases of the project's list of faults.
"""

from __future__ import annotations

import contextlib
import threading
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from fastdatastore import errors
from fastdatastore.testing.faults import (
    Answer,
    ChangeHeaders,
    CloseAfter,
    Corrupt,
    Fin,
    Latency,
    Reset,
    Slicer,
    Stall,
    SwallowReply,
    answers,
)
from tests.support.clients import client_of
from tests.support.faulty import LARGE, MIDDLING, PART, PATIENT, SMALL, Way

# ---- connections that break: 6, 7 ----


@pytest.mark.parametrize("kind", [Reset, Fin])
def test_a_body_that_breaks_at_random_offsets_is_resumed(way: Way, kind: type[Reset] | type[Fin]) -> None:
    way.proxy.add(kind(at=range(PART), probability=0.5, seed=1, operation="GetObject"))
    assert way.get("large", attempts=PATIENT) == LARGE
    log = way.proxy.wait_until_idle()
    assert way.struck(kind) >= 3
    # Resumed, not begun anew: the first stream apart, which is cut where the others begin, no byte comes twice.
    assert sum(passed.received for passed in log[1:]) <= len(LARGE)


@pytest.mark.parametrize("kind", [Reset, Fin])
def test_an_upload_that_breaks_at_random_offsets_is_sent_again(way: Way, kind: type[Reset] | type[Fin]) -> None:
    way.proxy.add(kind(at=range(PART), probability=0.4, seed=4, direction="request", operation="UploadPart"))
    way.put(LARGE, attempts=PATIENT)
    assert way.struck(kind) >= 3
    assert way.stored() == LARGE
    assert way.uploads() == []


# ---- requests changed on the way: 30 ----


def test_a_request_changed_on_the_way_is_refused_once(way: Way) -> None:
    if not way.place.server.checks_signatures:
        pytest.skip(f"{way.place.server.name} verifies no signatures")
    way.proxy.add(ChangeHeaders({"Host": "elsewhere.example"}, direction="request"))
    with pytest.raises(errors.BadCredentials) as raised:
        way.get("small")
    assert raised.value.attempts == 1


# ---- objects that change: 37, 57 ----


def test_an_object_replaced_in_the_middle_is_never_a_mixture(way: Way) -> None:
    before, after = LARGE[: 4 * PART], LARGE[PART : 5 * PART]
    direct = client_of(way.place.server)
    direct.run_one(direct.put(way.place.bucket, way.new, before))
    way.proxy.add(Latency(0.3, nth=1), Latency(1.0, direction="request", nth=range(2, 100)))

    def replace() -> None:
        while not way.proxy.log:
            time.sleep(0.01)
        direct.run_one(direct.put(way.place.bucket, way.new, after))

    thread = threading.Thread(target=replace)
    thread.start()
    try:
        with contextlib.suppress(errors.Modified):
            assert way.get(way.new) in (before, after)
    finally:
        thread.join()
    assert way.stored() == after


# ---- servers that refuse: 39, 41 ----


@pytest.mark.parametrize("make", [answers.slow_down, answers.internal_error], ids=["503", "500"])
def test_a_storm_of_refusals_loses_nothing(way: Way, make: Any) -> None:
    way.proxy.add(make(probability=0.4, seed=1))
    client = way.client(attempts=40)
    contents = {f"{way.new}-{n}": LARGE[n : n + 1000 * n] for n in range(30)} | {way.new: MIDDLING}
    client.run_all([client.put(way.place.bucket, key, content) for key, content in contents.items()])
    got = client.run_all([client.get(way.place.bucket, key) for key in contents])
    assert {job.key: bytes(job.content) for job in got} == contents
    assert way.struck(Answer) >= 3
    assert way.uploads() == []


def test_an_upload_refused_before_its_body_was_read_is_sent_again(way: Way) -> None:
    way.proxy.add(Answer(503, at_once=True, operation="UploadPart", times=2))
    way.put(MIDDLING)
    assert way.stored() == MIDDLING


# ---- multipart: 42, 45, 47, 51 ----


def test_a_complete_that_fails_by_200_is_tried_again(way: Way) -> None:
    way.proxy.add(answers.error_in_200(operation="CompleteMultipartUpload", times=2))
    way.put(MIDDLING)
    assert way.stored() == MIDDLING
    assert way.uploads() == []


def test_a_complete_that_always_fails_leaves_nothing(way: Way) -> None:
    way.proxy.add(answers.error_in_200(operation="CompleteMultipartUpload"))
    with pytest.raises(errors.ServerError):
        way.put(MIDDLING)
    assert way.stored() is None
    assert way.uploads() == []


@pytest.mark.parametrize("how", ["reset", "fin", "500"])
def test_a_complete_whose_reply_was_lost_has_succeeded(way: Way, how: Any) -> None:
    when: dict[str, Any] = {"operation": "CompleteMultipartUpload", "times": 1}
    way.proxy.add(Answer(500, forwarded=True, **when) if how == "500" else SwallowReply(how, **when))
    way.put(MIDDLING)
    assert way.stored() == MIDDLING
    assert way.uploads() == []


@pytest.mark.parametrize("operation", ["PutObject", "CreateMultipartUpload", "UploadPart"])
@pytest.mark.parametrize("how", ["reset", "fin"])
def test_a_lost_reply_is_asked_for_again(way: Way, operation: str, how: Any) -> None:
    content = SMALL if operation == "PutObject" else MIDDLING
    way.proxy.add(SwallowReply(how, operation=operation, times=1))
    way.put(content)
    assert way.stored() == content


def test_a_part_without_an_etag_is_sent_again(way: Way) -> None:
    way.proxy.add(ChangeHeaders(drop=("etag",), operation="UploadPart", times=1))
    way.put(MIDDLING)
    assert way.stored() == MIDDLING


def test_an_abort_that_fails_is_tried_again(way: Way) -> None:
    way.proxy.add(
        answers.error(400, "InvalidPart", operation="UploadPart", nth=2),
        answers.internal_error(operation="AbortMultipartUpload", times=1),
        Reset(operation="AbortMultipartUpload", nth=2),
    )
    with pytest.raises(errors.InvalidRequest):
        way.put(MIDDLING)
    assert way.uploads() == []


# ---- integrity: 46, 56 ----


def needs_verified_uploads(way: Way) -> None:
    if way.place.server.name == "moto":
        pytest.skip("moto verifies no upload")


def needs_checksum(way: Way, key: str) -> None:
    if way.place.server.name == "moto" and key == "large" and find_spec("awscrt") is None:
        pytest.skip("moto takes no right CRC-64/NVME of a multipart upload without awscrt; run: pip install awscrt")


@pytest.mark.parametrize("operation", ["PutObject", "UploadPart"])
@pytest.mark.parametrize("known", [False, True], ids=["first upload", "later upload"])
def test_a_bit_flipped_on_the_way_up_is_refused_and_sent_again(way: Way, operation: str, known: bool) -> None:
    needs_verified_uploads(way)
    content = SMALL if operation == "PutObject" else MIDDLING
    client = way.client()
    if known:  # what the server can do has been learnt, and bodies are signed accordingly
        client.run_one(client.put(way.place.bucket, "before", SMALL))
    way.proxy.add(Corrupt(at=range(len(SMALL)), bit=5, direction="request", operation=operation, times=1))
    client.run_one(client.put(way.place.bucket, way.new, content))
    assert way.struck(Corrupt) == 1
    assert way.stored() == content


@pytest.mark.parametrize("operation", ["PutObject", "UploadPart"])
def test_bits_always_flipped_on_the_way_up_are_an_error_and_nothing_is_stored(way: Way, operation: str) -> None:
    needs_verified_uploads(way)
    content = SMALL if operation == "PutObject" else MIDDLING
    way.proxy.add(Corrupt(at=range(len(SMALL)), bit=5, direction="request", operation=operation))
    with pytest.raises(errors.IntegrityError):
        way.put(content)
    assert way.stored() is None
    assert way.uploads() == []


@pytest.mark.parametrize("key", ["small", "large"])
def test_bits_always_flipped_on_the_way_down_are_an_error_and_no_file(way: Way, tmp_path: Path, key: str) -> None:
    needs_checksum(way, key)
    way.proxy.add(Corrupt(at=range(len(SMALL)), operation="GetObject"))
    client = way.client()
    with pytest.raises(errors.IntegrityError):
        client.run_one(client.get(way.place.bucket, key))
    with pytest.raises(errors.IntegrityError):
        client.run_one(client.get(way.place.bucket, key, client.file_sink(tmp_path / "file")))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("key", ["small", "large"])
def test_a_bit_flipped_once_on_the_way_down_is_fetched_again(way: Way, key: str) -> None:
    needs_checksum(way, key)
    way.proxy.add(Corrupt(at=range(len(SMALL)), operation="GetObject", times=1))
    assert way.get(key) == (SMALL if key == "small" else LARGE)


def test_an_upload_that_began_before_the_server_was_known_can_be_verified(way: Way) -> None:
    needs_checksum(way, "large")
    # What the small one's reply tells of the server comes between the large one's Create and its reply.
    way.proxy.add(Latency(0.5, operation="CreateMultipartUpload"))
    client = way.client()
    keys = {f"{way.new}-small": SMALL, way.new: MIDDLING}
    client.run_all([client.put(way.place.bucket, key, content) for key, content in keys.items()])
    assert client.run_one(client.get(way.place.bucket, way.new)).verified_by.startswith("crc64nvme")


# ---- everything at once ----


def test_everything_at_once_loses_nothing(way: Way) -> None:
    seed = 1
    way.proxy.add(
        Reset(at=range(PART), probability=0.1, seed=seed),
        Fin(at=range(PART), probability=0.1, seed=seed + 1),
        Reset(at=range(PART), probability=0.1, seed=seed + 2, direction="request"),
        Stall(at=range(PART), seconds=0.2, probability=0.1, seed=seed + 3),
        Latency(0.01, 0.01, seed=seed),
        CloseAfter(probability=0.2, seed=seed + 4),
        Slicer(10_000, probability=0.2, seed=seed + 5),
        answers.slow_down(probability=0.1, seed=seed + 6),
    )
    contents = {f"{way.new}-{n}": LARGE[n : n + 10_000 * n] for n in range(20)} | {way.new: LARGE[: 4 * PART]}
    client = way.client(attempts=PATIENT)
    client.run_all([client.put(way.place.bucket, key, content) for key, content in contents.items()])
    assert {key: way.stored(key) for key in contents} == contents
    got = client.run_all([client.get(way.place.bucket, key) for key in contents])
    assert {job.key: bytes(job.content) for job in got} == contents
    assert way.uploads() == []
