"""What goes wrong is said within seconds, by an error of its own type, and nothing is left behind."""

from __future__ import annotations

import contextlib
import logging
import os
import pickle
import random
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from fastdatastore import S3, S3GetObject, S3PutObject, errors
from fastdatastore.auth.credentials import CredentialProvider, Credentials
from fastdatastore.auth.endpoint import EndpointConfig
from fastdatastore.config import MIB, Settings
from fastdatastore.engine.client import Client
from fastdatastore.engine.sources import FileSource
from fastdatastore.testing import servers
from fastdatastore.testing.servers import RunningServer
from tests.support.clients import FAKE, FixedCredentials, client_at, client_of, s3_of
from tests.support.scripted_server import Reply, ScriptedServer, StoredObject, error_reply, in_turn

LARGE = random.Random(13).randbytes(20 * MIB)
SMALL = b"small"

OPERATIONS: dict[str, tuple[str, Callable[[S3], object]]] = {
    "get": ("GetObject", lambda s3: s3.get("key")),
    "info": ("HeadObject", lambda s3: s3.info("key")),
    "put": ("PutObject", lambda s3: s3.put("key", SMALL)),
    "put large": ("CreateMultipartUpload", lambda s3: s3.put("key", LARGE)),
    "list": ("ListObjectsV2", lambda s3: s3.list_recursive()),
}


@pytest.fixture(autouse=True)
def _in_time() -> Iterator[None]:
    """Each failure here must be known within ten seconds."""
    began = time.monotonic()
    yield
    assert time.monotonic() - began < 10


def _check(error: errors.S3Error, operation: str, bucket: str) -> None:
    text = str(error)
    assert text.startswith(f"{operation} s3://{bucket}/")
    assert ". What to do: " in text
    assert text.endswith(".")
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again)) == (type(error), text)


def _sockets() -> int:
    count = 0
    for entry in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            count += str(entry.readlink()).startswith("socket:")
    return count


def _at(url: str, tmp_path: Path, ca_file: str = "", **settings: Any) -> S3:
    chosen = Settings(attempts=2, connect_timeout=1.0, stall_timeout=3.0, **settings)
    endpoint = EndpointConfig(url, "us-east-1", ca_file)
    client = Client(endpoint, FixedCredentials(FAKE.access_key, FAKE.secret_key), chosen)
    return S3(str(tmp_path), s3root="s3://some-bucket", client=client)


# ---- the endpoint ----


def _closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_wrong_port_is_a_connect_error(tmp_path: Path, name: str) -> None:
    operation, run = OPERATIONS[name]
    with pytest.raises(errors.ConnectError, match="refused") as caught:
        run(_at(f"http://127.0.0.1:{_closed_port()}", tmp_path))
    _check(caught.value, operation, "some-bucket")
    assert "AWS_ENDPOINT_URL" in str(caught.value)


@pytest.mark.fault(3)
def test_a_wrong_host_is_a_connect_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(errors.ConnectError, match=r"no-such-host\.invalid") as caught:
        _at("http://no-such-host.invalid:9000", tmp_path).get("key")
    _check(caught.value, "GetObject", "some-bucket")


@pytest.mark.parametrize("url", ["127.0.0.1:9000", "ftp://host", "http://", "http://host:x", "http://host/bucket"])
def test_an_endpoint_that_is_no_endpoint_is_a_configuration_error(url: str) -> None:
    with pytest.raises(errors.ConfigurationError, match="endpoint"):
        EndpointConfig(url, "us-east-1")


def test_a_password_in_the_endpoint_is_refused_and_not_repeated() -> None:
    with pytest.raises(errors.ConfigurationError) as caught:
        EndpointConfig("http://user:hunter2@host:9000", "us-east-1")
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("name", ["get", "info", "put"])
def test_https_on_an_http_port_is_an_error_of_the_connection(
    s3_server: RunningServer, tmp_path: Path, name: str
) -> None:
    operation, run = OPERATIONS[name]
    # Some servers answer in plain text, some hang up, some go on waiting for a request.
    with pytest.raises((errors.TlsError, errors.ConnectionLost, errors.ConnectError)) as caught:
        run(_at(s3_server.url.replace("http:", "https:"), tmp_path))
    _check(caught.value, operation, "some-bucket")


@pytest.fixture(scope="module")
def tls_server() -> Iterator[RunningServer]:
    """One server with TLS: the embedded one."""
    with servers.start(servers.EMBEDDED, tls=True) as server:
        server.create_bucket("some-bucket")
        yield server


@pytest.mark.parametrize("name", ["get", "info", "put"])
def test_http_on_an_https_port_is_a_protocol_error(tls_server: RunningServer, tmp_path: Path, name: str) -> None:
    operation, run = OPERATIONS[name]
    with pytest.raises((errors.ProtocolError, errors.ConnectionLost)) as caught:
        run(_at(tls_server.url.replace("https:", "http:"), tmp_path))
    _check(caught.value, operation, "some-bucket")
    assert "http" in str(caught.value).lower()


@pytest.mark.fault(16)
@pytest.mark.parametrize("name", OPERATIONS)
def test_a_certificate_that_does_not_verify_is_a_tls_error_at_once(
    tls_server: RunningServer, tmp_path: Path, name: str
) -> None:
    operation, run = OPERATIONS[name]
    with pytest.raises(errors.TlsError, match="AWS_CA_BUNDLE") as caught:
        run(_at(tls_server.url, tmp_path))
    assert caught.value.attempts == 1
    _check(caught.value, operation, "some-bucket")


def test_a_certificate_for_another_name_is_a_tls_error(tmp_path: Path) -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("elsewhere.example").configure_cert(context)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    with ScriptedServer(in_turn(Reply(200)), context) as server, pytest.raises(errors.TlsError) as caught:
        _at(server.url, tmp_path, str(tmp_path / "ca.pem")).get("key")
    _check(caught.value, "GetObject", "some-bucket")


def test_with_its_authority_the_same_server_is_trusted(tls_server: RunningServer, tmp_path: Path) -> None:
    with s3_of(client_of(tls_server), "some-bucket", tmp_path) as s3:
        s3.put("key", LARGE)
        assert s3.get("key").blob == LARGE


def test_a_bundle_that_is_missing_or_no_bundle_is_a_configuration_error(tmp_path: Path) -> None:
    with pytest.raises(errors.ConfigurationError, match="AWS_CA_BUNDLE"):
        EndpointConfig("https://127.0.0.1:1", "us-east-1", str(tmp_path / "missing.pem"))
    (tmp_path / "bad.pem").write_text("no certificate")
    with pytest.raises(errors.ConfigurationError, match="AWS_CA_BUNDLE"):
        _at("https://127.0.0.1:1", tmp_path, str(tmp_path / "bad.pem")).get("key")


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_endpoint_that_never_answers_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("FDS_STALL_TIMEOUT", "1")
    monkeypatch.setenv("FDS_ATTEMPTS", "2")
    operation, run = OPERATIONS[name]
    with ScriptedServer(in_turn(Reply(hang=True))) as server:
        client = Client(EndpointConfig(server.url, "us-east-1"), FixedCredentials("key", "secret"))
        with pytest.raises(errors.ConnectionLost, match=r"no byte moved for 1\.0 s") as caught:
            run(s3_of(client, "some-bucket", tmp_path))
    assert caught.value.attempts == 2
    _check(caught.value, operation, "some-bucket")


# ---- credentials ----


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("wrong", ["secret", "access key"])
def test_wrong_credentials_are_refused_as_such(
    s3_server: RunningServer, bucket: str, tmp_path: Path, name: str, wrong: str
) -> None:
    if not s3_server.checks_signatures:
        pytest.skip(f"{s3_server.name} takes any credentials")
    operation, run = OPERATIONS[name]
    access_key = s3_server.access_key if wrong == "secret" else "AKIANOBODYKNOWSTHIS0"
    client = client_of(s3_server, FixedCredentials(access_key, "wrong" * 8))
    with pytest.raises(errors.BadCredentials) as caught, s3_of(client, bucket, tmp_path) as s3:
        run(s3)
    assert caught.value.attempts == 1
    assert caught.value.status == 403
    _check(caught.value, operation, bucket)


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_expired_token_is_an_error_of_its_own(tmp_path: Path, name: str) -> None:
    operation, run = OPERATIONS[name]
    expired = error_reply(400, "ExpiredToken", "The provided token has expired.")
    with ScriptedServer(lambda r: Reply(400) if r.method == "HEAD" else expired) as server:
        with pytest.raises(errors.ExpiredCredentials, match="AWS_SESSION_TOKEN") as caught:
            run(_at(server.url, tmp_path))
        assert len(server.requests) <= 2
    _check(caught.value, operation, "some-bucket")


_WITHOUT = {
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
}


def test_no_credentials_at_all_is_an_error_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in _WITHOUT.items():
        monkeypatch.setenv(name, value)
    with S3(str(tmp_path), s3root="s3://b01", endpoint_url="http://127.0.0.1:1") as s3:
        with pytest.raises(errors.NoCredentials, match="AWS_ACCESS_KEY_ID"):
            s3.get("key")
        with pytest.raises(errors.NoCredentials):
            s3.put("key", LARGE)


def test_a_missing_profile_is_a_configuration_error(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in _WITHOUT.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(errors.ConfigurationError, match=r"nobody.*AWS_PROFILE"):
        CredentialProvider("nobody").snapshot()


def test_credentials_from_a_process_are_renewed_by_asking_it_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "process.py"
    script.write_text(
        "import json, pathlib, sys\n"
        "count = pathlib.Path(sys.argv[1]); n = int(count.read_text()) + 1; count.write_text(str(n))\n"
        "print(json.dumps({'Version': 1, 'AccessKeyId': f'KEY{n}', 'SecretAccessKey': 's', 'SessionToken': 't',\n"
        "                  'Expiration': '2099-01-01T00:00:00Z'}))\n"
    )
    (tmp_path / "count").write_text("0")
    config = tmp_path / "config"
    config.write_text(f"[profile p]\ncredential_process = {sys.executable} {script} {tmp_path / 'count'}\n")
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    provider = CredentialProvider("p")
    first = provider.snapshot()
    assert provider.snapshot() == first
    second = provider.renew(first)
    assert (first.access_key, second.access_key) == ("KEY1", "KEY2")
    assert provider.snapshot() == second


# ---- what is not there ----


@pytest.mark.fault(36)
@pytest.mark.parametrize("name", OPERATIONS)
def test_a_missing_bucket_is_an_error_of_its_own(s3_server: RunningServer, tmp_path: Path, name: str) -> None:
    operation, run = OPERATIONS[name]
    with s3_of(client_of(s3_server), "no-such-bucket", tmp_path) as s3:
        with pytest.raises(errors.BucketNotFound) as caught:
            run(s3)
        _check(caught.value, operation, "no-such-bucket")
        if name in ("get", "info"):  # it is no missing key
            with pytest.raises(errors.BucketNotFound):
                s3.get("key", return_missing=True)


@pytest.mark.fault(35)
@pytest.mark.parametrize("name", ["get", "info"])
def test_a_missing_key_is_an_error_of_its_own(s3: S3, bucket: str, name: str) -> None:
    operation, run = OPERATIONS[name]
    with pytest.raises(errors.NotFound) as caught:
        run(s3)
    _check(caught.value, operation, bucket)
    assert f"s3://{bucket}/key" in str(caught.value)


@pytest.mark.parametrize("root", ["http://bucket", "bucket", "s3://", "s3:///x", "s3://bu cket", "s3://b\nc"])
def test_a_root_that_is_no_s3_url_is_refused(root: str) -> None:
    with pytest.raises(errors.InvalidKey):
        S3(s3root=root, client=client_at("http://127.0.0.1:1"))


# ---- arguments ----


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda s3: s3.get("k" * 1025), errors.InvalidKey),
        (lambda s3: s3.put("", b"x"), errors.InvalidKey),
        (lambda s3: s3.get(7), errors.InvalidKey),
        (lambda s3: s3.get(S3GetObject("key", -1, 5)), errors.InvalidRange),
        (lambda s3: s3.put("key", object()), errors.ConfigurationError),
        (lambda s3: s3.put("key", memoryview(bytes(8))[::2]), errors.ConfigurationError),
        (lambda s3: s3.put("key", b"x", metadata={1, 2}), errors.ConfigurationError),
        (lambda s3: s3.put("key", b"x", content_type="a\r\nx-evil: 1"), errors.ConfigurationError),
        (lambda s3: s3.put("key", b"x", content_type="a\0b"), errors.ConfigurationError),
        (lambda s3: s3.put_many([("key", b"x"), ("other", None)]), errors.ConfigurationError),
        (lambda s3: s3.put_many([S3PutObject("key", path="/no/such/file")]), errors.LocalFileError),
        (lambda s3: s3.put_many([S3PutObject("key", path="/")]), errors.LocalFileError),
        (lambda s3: s3.put_many([S3PutObject("key", path="a\0b")]), errors.FastDatastoreError),
    ],
)
def test_a_wrong_argument_is_refused_before_anything_is_sent(
    tmp_path: Path, call: Callable[[S3], object], error: type[Exception]
) -> None:
    with ScriptedServer(in_turn(Reply(200))) as server:
        with pytest.raises(error) as caught:
            call(_at(server.url, tmp_path))
        assert server.requests == []
        assert len(str(caught.value)) > 20


@pytest.mark.parametrize(
    ("name", "text"),
    [("FDS_ATTEMPTS", "0"), ("FDS_STALL_TIMEOUT", "soon"), ("FDS_PART_SIZE", "1000"), ("FDS_LOOPS", "")],
)
def test_a_wrong_setting_is_a_configuration_error_that_names_it(
    monkeypatch: pytest.MonkeyPatch, name: str, text: str
) -> None:
    monkeypatch.setenv(name, text)
    with pytest.raises(errors.ConfigurationError, match=f"{name}|part_size"):
        Settings()


# ---- local files ----


@pytest.mark.parametrize("spilled", [False, True])
def test_a_tmproot_that_cannot_be_written_is_a_local_file_error(tmp_path: Path, spilled: bool) -> None:
    (tmp_path / "file").write_text("")
    with ScriptedServer(StoredObject(LARGE).get) as server:
        for bad in (tmp_path / "file", tmp_path / "missing", Path("/proc/self")):
            client = client_at(server.url, memory_ceiling=1 if spilled else MIB * 100)
            s3 = S3(str(bad), s3root="s3://some-bucket", client=client)
            with s3, pytest.raises(errors.LocalFileError, match=str(bad)):
                _ = s3.get("key").path
        assert sorted(p.name for p in tmp_path.iterdir()) == ["file"]


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A directory with room for 1 MiB."""
    where = tmp_path / "tiny"
    where.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(where)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"NOT TESTED: a full disk needs the right to mount a tmpfs ({mounted.stderr.decode().strip()})")
    yield where
    subprocess.run(["umount", str(where)], check=True)


@pytest.mark.fault(62)
def test_a_full_disk_is_said_and_nothing_stays_on_it(tiny_disk: Path) -> None:
    with ScriptedServer(StoredObject(LARGE).get) as server:
        client = client_at(server.url, memory_ceiling=1)
        with S3(str(tiny_disk), s3root="s3://some-bucket", client=client) as s3:
            with pytest.raises(errors.InsufficientDiskSpace, match="tmproot"):
                s3.get("key")
            assert [p for p in tiny_disk.rglob("*") if p.is_file()] == []
        assert list(tiny_disk.iterdir()) == []
        with pytest.raises(errors.InsufficientDiskSpace):
            client.run_one(client.get("some-bucket", "key", client.file_sink(tiny_disk / "file")))
        assert list(tiny_disk.iterdir()) == []


@pytest.mark.fault(49)
def test_a_file_that_shrinks_while_it_is_uploaded_is_noticed(
    s3: S3, bucket: str, control: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    path.write_bytes(LARGE)
    part = FileSource.part

    def shrinking(self: FileSource, offset: int, length: int) -> Any:
        os.truncate(path, 9 * MIB)
        return part(self, offset, length)

    monkeypatch.setattr(FileSource, "part", shrinking)
    with pytest.raises(errors.SourceChanged, match="shrank"):
        s3.put_many([S3PutObject("key", path=str(path))])
    assert not s3.get("key", return_missing=True).exists
    assert not control.list_multipart_uploads(Bucket=bucket).get("Uploads")


@pytest.mark.fault(49)
def test_a_file_that_changes_while_it_is_uploaded_is_noticed(
    s3: S3, bucket: str, control: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    path.write_bytes(LARGE)
    part = FileSource.part

    def changing(self: FileSource, offset: int, length: int) -> Any:
        view = part(self, offset, length)
        with path.open("ab") as file:
            file.write(b"more")
        return view

    monkeypatch.setattr(FileSource, "part", changing)
    with pytest.raises(errors.SourceChanged, match="changed"):
        s3.put_many([S3PutObject("key", path=str(path))])
    assert not s3.get("key", return_missing=True).exists
    assert not control.list_multipart_uploads(Bucket=bucket).get("Uploads")


# ---- nothing is left ----


def test_a_failed_get_leaves_no_file_and_no_connection(tmp_path: Path) -> None:
    def script(received: Any) -> Reply:
        return StoredObject(LARGE).get(received) if received.number == 0 else error_reply(403, "AccessDenied")

    before = _sockets()
    files = len(list(Path("/proc/self/fd").iterdir()))
    with ScriptedServer(script) as server:
        client = client_at(server.url)
        for _ in range(3):
            with pytest.raises(errors.AccessDenied):
                client.run_one(client.get("some-bucket", "key", client.file_sink(tmp_path / "file")))
        assert list(tmp_path.iterdir()) == []
    del client
    deadline = time.monotonic() + 8  # an idle connection is closed after 4 s
    while _sockets() > before and time.monotonic() < deadline:
        time.sleep(0.05)
    assert _sockets() <= before
    assert len(list(Path("/proc/self/fd").iterdir())) <= files + 1  # the data plane, if this was its first use


def test_one_failure_of_many_leaves_no_file_open(tmp_path: Path) -> None:
    for i in range(40):
        (tmp_path / f"{i}").write_bytes(b"x" * 100)
    with ScriptedServer(lambda r: error_reply(403, "AccessDenied") if r.path.endswith("7") else Reply(200)) as server:
        client = client_at(server.url)
        with S3(str(tmp_path), s3root="s3://some-bucket", client=client) as s3, pytest.raises(errors.AccessDenied):
            s3.put_many([S3PutObject(str(i), path=str(tmp_path / f"{i}")) for i in range(40)])
    open_files = [entry.readlink() for entry in Path("/proc/self/fd").iterdir() if entry.exists()]
    assert [path for path in open_files if tmp_path in path.parents] == []


# ---- secrets ----


def test_secrets_are_never_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    secret, token = "wJalrXUtnFEMI/topsecret", "FwoGZXIvYXdzE-the-token"
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", secret)
    monkeypatch.setenv("AWS_SESSION_TOKEN", token)
    caplog.set_level(logging.DEBUG)
    shown = []
    with ScriptedServer(in_turn(error_reply(403, "SignatureDoesNotMatch"))) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        with S3(str(tmp_path), s3root="s3://some-bucket") as s3:
            client = Client()
            credentials = CredentialProvider().snapshot()
            for call in (lambda: s3.get("key"), lambda: s3.put("key", LARGE)):
                with pytest.raises(errors.BadCredentials) as caught:
                    call()
                shown += [str(caught.value), repr(caught.value), pickle.dumps(caught.value).decode("latin-1")]
            for thing in (s3, client):
                shown += [str(thing), repr(thing), pickle.dumps(thing).decode("latin-1")]
            shown += [str(credentials), repr(credentials), repr(client.remote), repr(CredentialProvider())]
    assert credentials == Credentials("AKIDEXAMPLE", secret, token)
    with pytest.raises(TypeError, match="never pickled"):
        pickle.dumps(credentials)
    shown += [record.getMessage() for record in caplog.records]
    for text in shown:
        assert secret not in text
        assert token not in text


def test_one_key_where_many_are_wanted_is_refused(tmp_path: Path) -> None:
    s3 = s3_of(client_at("http://127.0.0.1:1"), "bucket", tmp_path)
    with pytest.raises(errors.InvalidKey, match="the one key 'key'"):
        s3.get_many("key")
    with pytest.raises(errors.InvalidKey, match="the one key 'key'"):
        s3.list_paths("key")


def test_the_encryption_of_one_object_is_asked_for(tmp_path: Path) -> None:
    with ScriptedServer(in_turn(Reply(200, b"", {"etag": '"e"'}))) as server:
        s3_of(client_at(server.url), "bucket", tmp_path).put_many([S3PutObject("key", "x", encryption="AES256")])
        assert server.requests[0].headers["x-amz-server-side-encryption"] == "AES256"
