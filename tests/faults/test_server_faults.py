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
from fastdatastore.auth.credentials import Credentials
from fastdatastore.auth.endpoint import EndpointConfig
from fastdatastore.config import Settings
from fastdatastore.engine.budget import TIMEOUT_COST
from fastdatastore.engine.client import Client
from fastdatastore.engine.delete import DeleteJob
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
from tests.support.clients import FixedCredentials, client_of
from tests.support.faulty import LARGE, MIDDLING, PART, PATIENT, SMALL, Way

# ---- connections that break: 6, 7 ----


@pytest.mark.fault(6)
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


# ---- regions, clocks, tokens: 28, 31, 32 ----


@pytest.mark.fault(28)
def test_a_wrong_region_is_put_right(way: Way) -> None:
    server = way.place.server
    endpoint = EndpointConfig(server.url, "eu-nowhere-7", "", "path")
    client = Client(endpoint, FixedCredentials(server.access_key, server.secret_key))
    jobs = client.run_all([client.put(way.place.bucket, f"{way.new}-{n}", SMALL) for n in range(4)])
    assert all(job.attempts <= 2 for job in jobs)
    assert bytes(client.run_one(client.get(way.place.bucket, f"{way.new}-1")).content) == SMALL


@pytest.mark.fault(28)
def test_a_redirect_to_another_region_is_followed(way: Way) -> None:
    way.proxy.add(answers.wrong_region("eu-west-7", times=1))
    assert way.get("small") == SMALL


@pytest.mark.fault(31)
@pytest.mark.parametrize("hours", [-1, 1])
def test_a_clock_that_is_off_by_an_hour_is_put_right(way: Way, hours: int) -> None:
    if not way.place.server.checks_signatures:
        pytest.skip(f"{way.place.server.name} looks at no clock")
    client = way.client()
    client.remote.clock_offset = hours * 3600
    contents = {f"{way.new}-{n}": SMALL[:n] for n in range(3)} | {way.new: MIDDLING}
    client.run_all([client.put(way.place.bucket, key, content) for key, content in contents.items()])
    assert {key: way.stored(key) for key in contents} == contents
    assert abs(client.remote.clock_offset) < 60


class Renewable(FixedCredentials):
    """Counts how often it is asked for newer ones: the same keys, seen as others."""

    renewals = 0

    def snapshot(self) -> Credentials:
        return Credentials(*self._fixed, "" if self.renewals else None)

    def renew(self, rejected: Credentials) -> Credentials:
        self.renewals += 1
        return self.snapshot()


@pytest.mark.fault(32)
def test_a_token_that_expires_in_the_middle_is_renewed_once_and_the_parts_go_on(way: Way) -> None:
    way.proxy.add(answers.expired_token(operation="UploadPart", nth=2), answers.expired_token(method="GET", nth=3))
    server = way.place.server
    endpoint = EndpointConfig(way.proxy.url, server.region, "", "path")
    for step in ("put", "get"):
        provider = Renewable(server.access_key, server.secret_key)
        client = Client(endpoint, provider, Settings(part_size=PART, attempts=1))
        if step == "put":
            client.run_one(client.put(way.place.bucket, way.new, LARGE))
        else:
            assert bytes(client.run_one(client.get(way.place.bucket, way.new)).content) == LARGE
        assert provider.renewals == 1
    assert way.struck(Answer) == 2
    assert way.uploads() == []


# ---- requests changed on the way: 30 ----


@pytest.mark.fault(30)
def test_a_request_changed_on_the_way_is_refused_once(way: Way) -> None:
    if not way.place.server.checks_signatures:
        pytest.skip(f"{way.place.server.name} verifies no signatures")
    way.proxy.add(ChangeHeaders({"Host": "elsewhere.example"}, direction="request"))
    with pytest.raises(errors.BadCredentials) as raised:
        way.get("small")
    assert raised.value.attempts == 1


# ---- objects that change: 37, 57 ----


@pytest.mark.fault(57)
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


@pytest.mark.fault(39)
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


@pytest.mark.fault(41)
@pytest.mark.parametrize("percent", [10, 50, 90])
def test_failures_at_random_lose_nothing_or_are_an_error_that_says_so(way: Way, percent: int) -> None:
    way.proxy.add(*(Answer(status, probability=percent / 300, seed=status) for status in (500, 502, 504)))
    client = way.client(attempts=PATIENT)
    contents = {f"{way.new}-{n}": LARGE[n : n + 1000 * n] for n in range(10)} | {way.new: MIDDLING}
    done = {}
    for job in client.run([client.put(way.place.bucket, key, content) for key, content in contents.items()]):
        if job.error is None:
            done[job.key] = contents[job.key]
        else:
            _check_gave_up(job.error, client)
    for got in client.run([client.get(way.place.bucket, key) for key in done]):
        if got.error is None:
            assert bytes(got.content) == done[got.key]
        else:
            _check_gave_up(got.error, client)
    if percent == 10:
        assert len(done) == len(contents)
    way.proxy.clear()
    assert {key: way.stored(key) for key in done} == done


def _check_gave_up(error: Exception, client: Client) -> None:
    assert isinstance(error, errors.ServerError)
    assert error.status in (500, 502, 504)
    # Either all attempts of the request were made, or the client's budget for trying again was used up.
    assert error.attempts == client.settings.attempts or client.remote.retry_budget.tokens < TIMEOUT_COST


@pytest.mark.fault(43)
def test_of_many_deletes_each_has_its_own_result(way: Way) -> None:
    keys = [f"{way.new}-{n}" for n in range(5)]
    client = way.client()
    client.run_all([client.put(way.place.bucket, key, b"x") for key in keys])
    way.proxy.add(answers.error(403, "AccessDenied", key=f"{keys[1]}|{keys[3]}", method="DELETE"))
    deleted = {job.key: job.error for job in client.run([DeleteJob(way.place.bucket, key) for key in keys])}
    refused = {key for key, error in deleted.items() if error is not None}
    assert refused == {keys[1], keys[3]}
    assert all(isinstance(deleted[key], errors.AccessDenied) and key in str(deleted[key]) for key in refused)
    assert {key for key in keys if way.stored(key) is not None} == refused


def test_an_upload_refused_before_its_body_was_read_is_sent_again(way: Way) -> None:
    way.proxy.add(Answer(503, at_once=True, operation="UploadPart", times=2))
    way.put(MIDDLING)
    assert way.stored() == MIDDLING


# ---- multipart: 42, 45, 47, 51 ----


@pytest.mark.fault(42)
def test_a_complete_that_fails_by_200_is_tried_again(way: Way) -> None:
    way.proxy.add(answers.error_in_200(operation="CompleteMultipartUpload", times=2))
    way.put(MIDDLING)
    assert way.stored() == MIDDLING
    assert way.uploads() == []


@pytest.mark.fault(42)
def test_a_complete_that_always_fails_leaves_nothing(way: Way) -> None:
    way.proxy.add(answers.error_in_200(operation="CompleteMultipartUpload"))
    with pytest.raises(errors.ServerError):
        way.put(MIDDLING)
    assert way.stored() is None
    assert way.uploads() == []


@pytest.mark.fault(47)
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


@pytest.mark.fault(45)
def test_a_part_without_an_etag_is_sent_again(way: Way) -> None:
    way.proxy.add(ChangeHeaders(drop=("etag",), operation="UploadPart", times=1))
    way.put(MIDDLING)
    assert way.stored() == MIDDLING


@pytest.mark.fault(51)
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


@pytest.mark.fault(46)
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


@pytest.mark.fault(46)
@pytest.mark.parametrize("operation", ["PutObject", "UploadPart"])
def test_bits_always_flipped_on_the_way_up_are_an_error_and_nothing_is_stored(way: Way, operation: str) -> None:
    needs_verified_uploads(way)
    content = SMALL if operation == "PutObject" else MIDDLING
    way.proxy.add(Corrupt(at=range(len(SMALL)), bit=5, direction="request", operation=operation))
    with pytest.raises(errors.IntegrityError):
        way.put(content)
    assert way.stored() is None
    assert way.uploads() == []


@pytest.mark.fault(56)
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


@pytest.mark.fault(56)
@pytest.mark.parametrize("key", ["small", "large"])
def test_a_bit_flipped_once_on_the_way_down_is_fetched_again(way: Way, key: str) -> None:
    needs_checksum(way, key)
    way.proxy.add(Corrupt(at=range(len(SMALL)), operation="GetObject", times=1))
    assert way.get(key) == (SMALL if key == "small" else LARGE)


@pytest.mark.fault(59)
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
