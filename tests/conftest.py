"""Runs a test on every S3 server that this machine can start, and says loudly which it could not.

Fixtures: `s3_server` and `s3_server_tls` (a running server, once for each server), `bucket` (a fresh one on
`s3_server`), `control` (botocore's client of it) and `server_name` (for tests that start servers themselves).

`--servers a,b` or FDS_TEST_SERVERS=a,b chooses servers. What a server does not decide (where results land, how progress
looks, what a command prints) runs on two, by the mark `servers("null", "seaweedfs")`: one strict, one real. A server
that is missing is a skip; with FDS_REQUIRE_SERVERS=1 (or a list of names) it is a failure.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
from collections import Counter, deque
from collections.abc import Iterator
from typing import Any

import pytest

from fastdatastore.engine.delete import deletions
from fastdatastore.engine.listing import ListJob
from fastdatastore.engine.uploads import AbortJob, ListUploadsJob
from fastdatastore.testing import servers
from fastdatastore.testing.servers import RunningServer
from tests.support.clients import client_of

_FIXTURES = ("server_name", "s3_server", "s3_server_tls")
RESTING = 8
_PROPERTY = "s3_server"  # carried by reports, so that counts are right under xdist too


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds --servers."""
    names = ",".join(servers.NAMES)
    parser.addoption("--servers", metavar="NAMES", help=f"S3 servers to test on, of {names} (all; or FDS_TEST_SERVERS)")


def pytest_configure(config: pytest.Config) -> None:
    """Checks the choice of servers before anything runs."""
    # A run in the background inherits signals that are ignored, and all that it starts would ignore them too.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    _required()
    config.pluginmanager.register(_ServerSummary(_selected(config)))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Makes one test for each chosen server, grouped by server, so that each is started once."""
    mark = metafunc.definition.get_closest_marker("servers")
    for fixture in _FIXTURES:
        if fixture in metafunc.fixturenames:
            names = [name for name in _selected(metafunc.config) if mark is None or name in mark.args]
            metafunc.parametrize(fixture, names, indirect=True, scope="session")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Notes on each test which server it runs on; under xdist one worker has all tests of a server."""
    for item in items:
        parameters = item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
        for name in _FIXTURES:
            if name in parameters:
                item.user_properties.append((_PROPERTY, parameters[name]))
                item.add_marker(pytest.mark.xdist_group(f"{name} {parameters[name]}"))


@pytest.fixture(scope="session")
def server_name(request: pytest.FixtureRequest) -> str:
    """The name of a server that can be started."""
    return _startable(request.param)


@pytest.fixture(scope="session")
def s3_server(request: pytest.FixtureRequest) -> Iterator[RunningServer]:
    """A running server over plain http."""
    yield from _running(request, tls=False)


@pytest.fixture(scope="session")
def s3_server_tls(request: pytest.FixtureRequest) -> Iterator[RunningServer]:
    """A running server over https; its certificate is signed by the authority in `ca_file`."""
    yield from _running(request, tls=True)


@pytest.fixture(scope="session")
def control(s3_server: RunningServer) -> Iterator[Any]:
    """botocore's client of `s3_server`; making one takes longer than most tests."""
    with contextlib.closing(s3_server.client()) as made:
        yield made


@pytest.fixture(scope="session")
def resting_buckets(s3_server: RunningServer) -> deque[str]:
    """Buckets of `s3_server` that tests have left: in a new one SeaweedFS takes a second for the first object."""
    return deque()


@pytest.fixture
def bucket(s3_server: RunningServer, control: Any, resting_buckets: deque[str]) -> Iterator[str]:
    """The name of an empty bucket on `s3_server`."""
    name = ""
    # What a test has cancelled may come to rest late: so its bucket rests before another test gets it.
    while not name and len(resting_buckets) >= RESTING:
        name = _as_new(s3_server, control, resting_buckets.popleft())
    if not name:
        name = f"test-{secrets.token_hex(8)}"
        control.create_bucket(Bucket=name)
    yield name
    _empty(s3_server, name)
    resting_buckets.append(name)


def _as_new(server: RunningServer, control: Any, bucket: str) -> str:
    """The bucket, empty; "" if it remembers a test: keeps versions, or (SeaweedFS) directories. Then it is gone."""
    from botocore.exceptions import ClientError

    _empty(server, bucket)
    left = client_of(server).run_one(ListJob(bucket, "", recursive=False)).entries
    if not left and not _is_versioned(control, bucket):
        return bucket
    with contextlib.suppress(ClientError):  # SeaweedFS has volumes for some dozens of buckets, no more
        control.delete_bucket(Bucket=bucket)
    return ""


def _empty(server: RunningServer, bucket: str) -> None:
    client = client_of(server)
    found = client.run_one(ListJob(bucket, "", recursive=True))
    for _ in client.run(deletions(bucket, (entry.key for entry in found.entries))):
        pass
    uploads = client.run_one(ListUploadsJob(bucket)).uploads
    for _ in client.run([AbortJob(bucket, upload.key, upload.upload_id) for upload in uploads]):
        pass


def _is_versioned(control: Any, bucket: str) -> bool:
    from botocore.exceptions import ClientError

    try:
        return "Status" in control.get_bucket_versioning(Bucket=bucket)
    except ClientError:  # the null server knows no versions
        return False


def _startable(name: str) -> str:
    why = servers.why_unavailable(name)
    if why is not None and name in _required():
        pytest.fail(f"the server {name} is required (FDS_REQUIRE_SERVERS): {why}", pytrace=False)
    if why is not None:
        pytest.skip(why)
    return name


def _running(request: pytest.FixtureRequest, tls: bool) -> Iterator[RunningServer]:
    name = _startable(request.param)
    with servers.start(name, tls=tls) as server:
        yield server


def _names(text: str, source: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    if unknown := [name for name in names if name not in servers.NAMES]:
        raise pytest.UsageError(f"{source} names {', '.join(unknown)}; servers are: {', '.join(servers.NAMES)}")
    return names


def _selected(config: pytest.Config) -> tuple[str, ...]:
    option = config.getoption("--servers")
    text = option or os.environ.get("FDS_TEST_SERVERS") or ",".join(servers.NAMES)
    return _names(text, "--servers" if option else "FDS_TEST_SERVERS")


def _required() -> tuple[str, ...]:
    text = os.environ.get("FDS_REQUIRE_SERVERS", "")
    if text in ("", "0"):
        return ()
    return servers.NAMES if text == "1" else _names(text, "FDS_REQUIRE_SERVERS")


class _ServerSummary:
    """Counts, for each server, what became of its tests, and prints it at the end."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self._counts: dict[str, Counter[str]] = {name: Counter() for name in names}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Counts a test once, by its call or by a set-up that did not get so far."""
        if report.when == "call" or not report.passed:
            for key, name in report.user_properties:
                if key == _PROPERTY and name in self._counts:  # not where none of the chosen ones was left
                    self._counts[str(name)][report.outcome] += 1

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Says which servers ran, and which did not and why."""
        if not any(self._counts.values()):
            return
        terminalreporter.section("S3 servers")
        for name, counts in self._counts.items():
            line = ", ".join(f"{counts[outcome]} {outcome}" for outcome in ("passed", "failed", "skipped"))
            if (why := servers.why_unavailable(name)) is not None:
                terminalreporter.write_line(f"{name:10} NOT RUN ({line}): {why}", red=True, bold=True)
            else:
                good = bool(counts["passed"]) and not counts["failed"]
                terminalreporter.write_line(f"{name:10} {line}", green=good, red=not good)
