"""Credentials from a service that is throttled or slow, and that many threads and forked workers ask at once.

Numbers name the cases of the list of faults.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fastdatastore.auth import chain
from fastdatastore.auth.credentials import CredentialProvider, configured_endpoint
from fastdatastore.config import MIB
from fastdatastore.engine.client import Client
from fastdatastore.errors import NoCredentials
from tests.support.credential_services import MetadataService, SecurityTokenService, refusal
from tests.support.scripted_server import ScriptedServer, StoredObject


@pytest.fixture(autouse=True)
def _nothing_is_configured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))  # of this test alone: so is its chain
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)


@pytest.fixture
def metadata(monkeypatch: pytest.MonkeyPatch) -> Iterator[MetadataService]:
    """An instance's metadata service, and nothing else to get credentials from."""
    service = MetadataService()
    with ScriptedServer(service) as server:
        monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", server.url)
        yield service


@pytest.fixture
def sts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[SecurityTokenService]:
    """An STS, and a projected token file for it."""
    service = SecurityTokenService()
    (tmp_path / "token").write_text("first")
    with ScriptedServer(service) as server:
        monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(tmp_path / "token"))
        monkeypatch.setenv("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/reader")
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", server.url)
        monkeypatch.setenv("AWS_REGION", "us-east-1")
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        yield service


def in_threads(count: int, work: Callable[[], object]) -> list[object]:
    """What each of them returned or raised."""
    ready, results = threading.Barrier(count), []

    def run() -> None:
        ready.wait()
        try:
            results.append(work())
        except Exception as error:
            results.append(error)

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def in_child(work: Callable[[], bool]) -> int:
    """Forks; the child exits with 0 if `work` returns True within ten seconds. Returns its pid."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(10)
        code = 0 if work() else 2
    finally:
        os._exit(code)


def exit_codes(pids: list[int]) -> list[int]:
    return [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]


# ---- many at once: 33 ----


@pytest.mark.fault(33)
def test_threads_with_clients_of_their_own_cause_one_fetch(metadata: MetadataService) -> None:
    metadata.delay = 0.3
    keys = in_threads(16, lambda: CredentialProvider().snapshot().access_key)
    assert set(keys) == {"KEY1"}
    assert metadata.fetches == 1


@pytest.mark.fault(33)
def test_threads_that_wait_for_credentials_share_a_failure(metadata: MetadataService) -> None:
    metadata.refusals = 10**6
    outcomes = in_threads(8, lambda: CredentialProvider().snapshot())
    assert {type(outcome) for outcome in outcomes} == {NoCredentials}


@pytest.mark.fault(33)
def test_a_metadata_service_that_refuses_at_first_is_asked_again(metadata: MetadataService) -> None:
    metadata.refusals = 1
    assert CredentialProvider().snapshot().access_key == "KEY1"


@pytest.mark.fault(33, 64)
def test_forked_workers_go_on_with_their_parents_credentials(metadata: MetadataService) -> None:
    provider = CredentialProvider()
    provider.snapshot()
    pids = [in_child(lambda: CredentialProvider().snapshot() == provider.snapshot()) for _ in range(4)]
    assert exit_codes(pids) == [0] * 4
    assert metadata.fetches == 1


@pytest.mark.fault(33, 64)
def test_forked_workers_that_start_without_credentials_cause_one_fetch(metadata: MetadataService) -> None:
    metadata.delay = 0.3
    pids = [in_child(lambda: CredentialProvider().snapshot().access_key == "KEY1") for _ in range(4)]
    assert exit_codes(pids) == [0] * 4
    assert metadata.fetches == 1


@pytest.mark.fault(33, 64)
def test_forked_workers_whose_credentials_expire_together_cause_one_fetch(
    metadata: MetadataService, monkeypatch: pytest.MonkeyPatch
) -> None:
    metadata.lifetime = 3600.0
    provider = CredentialProvider()
    assert provider.snapshot().access_key == "KEY1"
    metadata.lifetime, metadata.delay = 21600.0, 0.3
    monkeypatch.setattr(chain, "MARGIN_SECONDS", 4000.0)  # so the first ones have expired
    pids = [in_child(lambda: provider.snapshot().access_key == "KEY2") for _ in range(4)]
    assert exit_codes(pids) == [0] * 4
    assert metadata.fetches == 2


@pytest.mark.fault(32, 33)
def test_threads_whose_token_is_refused_together_cause_one_fetch(metadata: MetadataService) -> None:
    provider = CredentialProvider()
    rejected = provider.snapshot()
    metadata.delay = 0.2
    renewed = in_threads(8, lambda: provider.renew(rejected).access_key)
    assert set(renewed) == {"KEY2"}
    assert metadata.fetches == 2


@pytest.mark.fault(33)
def test_what_is_about_to_end_is_renewed_in_the_background(
    sts: SecurityTokenService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chain, "MARGIN_SECONDS", 0.0)
    sts.lifetime = 5.0
    provider = CredentialProvider()
    assert provider.snapshot().access_key == "KEY1"
    sts.lifetime, sts.delay = 3600.0, 0.4
    deadline, longest = time.monotonic() + 10.0, 0.0
    while provider.snapshot().access_key == "KEY1" and time.monotonic() < deadline:
        began = time.monotonic()
        provider.snapshot()
        longest = max(longest, time.monotonic() - began)
        time.sleep(0.02)
    assert provider.snapshot().access_key == "KEY2"
    assert longest < sts.delay  # nobody waited for it


@pytest.mark.fault(33)
def test_a_service_that_fails_ahead_of_the_end_does_no_harm(
    sts: SecurityTokenService, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(chain, "MARGIN_SECONDS", 0.0)
    sts.lifetime = 5.0
    provider = CredentialProvider()
    provider.snapshot()
    sts.refusal = lambda token: refusal("AccessDenied", "not today")
    deadline = time.monotonic() + 10.0
    while not caplog.records and time.monotonic() < deadline:
        assert provider.snapshot().access_key == "KEY1"
        time.sleep(0.05)
    assert "could not be renewed ahead of their end" in caplog.text
    assert len(sts.tokens) == 2  # it is not asked for each request


@pytest.mark.fault(33)
def test_a_daemon_that_has_closed_all_descriptors_touches_no_file_of_its_own(
    metadata: MetadataService, tmp_path: Path
) -> None:
    def daemon() -> bool:
        os.closerange(3, 256)
        (tmp_path / "log").write_bytes(b"log" * 100)
        files = [os.open(tmp_path / "log", os.O_RDWR) for _ in range(200)]
        got = CredentialProvider().snapshot().access_key
        return len(files) == 200 and got == "KEY1" and (tmp_path / "log").read_bytes() == b"log" * 100

    assert exit_codes([in_child(daemon)]) == [0]


# ---- a fork in the middle: 64 ----


@pytest.mark.fault(33, 64)
def test_a_fork_while_another_thread_fetches_locks_nothing_up(metadata: MetadataService) -> None:
    metadata.delay = 0.7
    provider = CredentialProvider()
    thread = threading.Thread(target=provider.snapshot)
    thread.start()
    assert metadata.began.wait(5)
    child = in_child(lambda: provider.snapshot().access_key.startswith("KEY"))
    assert exit_codes([child]) == [0]
    thread.join()
    assert provider.snapshot().access_key == "KEY1"


@pytest.mark.fault(64)
def test_a_fork_while_another_thread_fetches_leaves_the_child_its_transfers(metadata: MetadataService) -> None:
    content = bytes(2 * MIB)
    with ScriptedServer(StoredObject(content).get) as server:
        os.environ["AWS_ENDPOINT_URL"] = server.url
        try:
            client = Client()
            metadata.delay = 0.7
            thread = threading.Thread(target=lambda: client.run_one(client.get("bucket", "key")))
            thread.start()
            assert metadata.began.wait(5)
            child = in_child(lambda: bytes(client.run_one(client.get("bucket", "key")).content) == content)
            assert exit_codes([child]) == [0]
            thread.join()
        finally:
            del os.environ["AWS_ENDPOINT_URL"]


# ---- web identity: 34 ----


@pytest.mark.fault(34)
def test_a_token_file_is_read_again_when_credentials_are_renewed(sts: SecurityTokenService, tmp_path: Path) -> None:
    provider = CredentialProvider()
    rejected = provider.snapshot()
    (tmp_path / "token").write_text("second")
    assert provider.snapshot() == rejected  # they are good as long as they are good
    assert provider.renew(rejected).access_key == "KEY2"
    assert sts.tokens == ["first", "second"]


@pytest.mark.fault(34)
def test_a_token_file_is_read_again_when_credentials_have_expired(
    sts: SecurityTokenService, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sts.lifetime = 60.0
    provider = CredentialProvider()
    provider.snapshot()
    (tmp_path / "token").write_text("second")
    monkeypatch.setattr(chain, "MARGIN_SECONDS", 100.0)  # so they have expired
    provider.snapshot()
    assert sts.tokens == ["first", "second"]


@pytest.mark.fault(34)
def test_a_token_that_was_not_rotated_is_an_error_with_the_services_words(sts: SecurityTokenService) -> None:
    sts.refusal = lambda token: refusal("ExpiredTokenException", "Token expired: current date/time 1")
    with pytest.raises(NoCredentials, match="Token expired"):
        CredentialProvider().snapshot()


@pytest.mark.fault(34)
def test_a_token_file_that_is_gone_is_an_error_that_names_it(sts: SecurityTokenService, tmp_path: Path) -> None:
    (tmp_path / "token").unlink()
    with pytest.raises(NoCredentials, match=str(tmp_path / "token")):
        CredentialProvider().snapshot()


# ---- who shares what ----


def test_another_environment_is_another_chain(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("one", "two"):
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", name)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        assert CredentialProvider().snapshot().access_key == name
    (tmp_path / "config").write_text("[default]\nregion = eu-west-1\n")
    assert configured_endpoint(CredentialProvider()).region == "eu-west-1"


def test_an_aws_file_that_is_no_such_file_is_a_configuration_error(tmp_path: Path) -> None:
    from fastdatastore.errors import ConfigurationError

    (tmp_path / "config").write_text("region = eu-west-1\n[default")
    with pytest.raises(ConfigurationError, match=r"~/\.aws/config"):
        configured_endpoint(CredentialProvider())
