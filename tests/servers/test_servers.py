"""Each S3 server starts, behaves like one, and leaves nothing behind."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from botocore.exceptions import ClientError, SSLError

from fastdatastore.testing import servers
from fastdatastore.testing.servers import RunningServer, ports

_STARTS_ONE = """
import sys
from fastdatastore.testing import servers
server = servers.start(sys.argv[1])
print(*server.pids, server.directory, flush=True)
sys.stdin.read()
"""


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _is_gone(pids: tuple[int, ...], directory: Path, seconds: float = 5.0) -> bool:
    deadline = time.monotonic() + seconds
    while any(map(_alive, pids)) or directory.exists():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def _sockets_in_tmp(server: RunningServer) -> list[Path]:
    listening = {str(port) for port in _listening_ports(server.pids)}
    return [path for path in Path("/tmp").glob("seaweedfs-*-grpc-*.sock") if path.stem.rpartition("-")[2] in listening]


def _listening_ports(pids: tuple[int, ...]) -> list[int]:
    return [address[1] for address in _listening(pids)]


def _listening(pids: tuple[int, ...]) -> list[tuple[str, int]]:
    """The addresses, as /proc/net writes them, that these processes listen on."""
    sockets = set()
    for pid in pids:
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                sockets.add(str(descriptor.readlink()))
    found = []
    for table in ("tcp", "tcp6"):
        for row in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = row.split()
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in sockets:
                host, _, port = fields[1].rpartition(":")
                found.append((host, int(port, 16)))
    return found


def test_object_put_is_the_object_got(s3_server: RunningServer, bucket: str) -> None:
    body = secrets.token_bytes(100_000)
    with contextlib.closing(s3_server.client()) as client:
        client.put_object(Bucket=bucket, Key="a/key", Body=body)
        assert client.get_object(Bucket=bucket, Key="a/key")["Body"].read() == body
        assert client.head_object(Bucket=bucket, Key="a/key")["ContentLength"] == len(body)


def test_missing_bucket_is_not_found(s3_server: RunningServer) -> None:
    with contextlib.closing(s3_server.client()) as client:
        with pytest.raises(ClientError) as got:
            client.get_object(Bucket="no-such-bucket", Key="key")
        assert got.value.response["ResponseMetadata"]["HTTPStatusCode"] == 404
        with pytest.raises(ClientError) as put:
            client.put_object(Bucket="no-such-bucket", Key="key", Body=b"x")
        assert put.value.response["ResponseMetadata"]["HTTPStatusCode"] == 404


def test_wrong_secret_is_refused_where_signatures_are_checked(s3_server: RunningServer) -> None:
    with contextlib.closing(s3_server.client(aws_secret_access_key="wrong" * 8)) as client:
        if s3_server.checks_signatures:
            with pytest.raises(ClientError) as refused:
                client.list_buckets()
            assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
        else:
            client.list_buckets()


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_it_listens_on_loopback_only(s3_server: RunningServer) -> None:
    listening = _listening(s3_server.pids)
    assert s3_server.port in [port for _, port in listening]
    loopback = {"0100007F", "00000000000000000000000001000000"}  # 127.0.0.1 and ::1
    assert {host for host, _ in listening} <= loopback


def test_what_it_used_is_accounted(s3_server: RunningServer) -> None:
    assert s3_server.pids
    assert all(map(_alive, s3_server.pids))
    assert s3_server.cpu_seconds() >= 0
    assert s3_server.peak_rss_bytes() > 1 << 20


def test_secret_is_not_in_its_repr(s3_server: RunningServer) -> None:
    assert s3_server.url in repr(s3_server)
    assert s3_server.secret_key not in repr(s3_server)


def test_client_takes_nothing_from_the_environment(
    s3_server: RunningServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "config").write_text("this is [no configuration")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_PROFILE", "no-such-profile")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "stray")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    with contextlib.closing(s3_server.client()) as client:
        client.list_buckets()


def test_environment_lets_a_client_in(s3_server_tls: RunningServer) -> None:
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
        **s3_server_tls.env(),
    }
    script = "import boto3; boto3.client('s3').list_buckets(); print('in')"
    ran = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False)
    assert ran.stdout == "in\n", ran.stderr


def test_tls_is_verified_by_its_authority_only(s3_server_tls: RunningServer) -> None:
    assert s3_server_tls.url.startswith("https://")
    with contextlib.closing(s3_server_tls.client()) as trusting:
        trusting.list_buckets()
    with contextlib.closing(s3_server_tls.client(verify=True)) as distrusting, pytest.raises(SSLError):
        distrusting.list_buckets()


def test_two_at_once_are_apart_and_stop_without_a_trace(server_name: str, tmp_path: Path) -> None:
    with (
        servers.start(server_name, workdir=tmp_path) as first,
        servers.start(server_name, workdir=tmp_path, buckets=("second-only",)) as second,
    ):
        assert first.url != second.url
        with contextlib.closing(first.client()) as client, pytest.raises(ClientError):
            client.head_bucket(Bucket="second-only")
        with contextlib.closing(second.client()) as client:
            client.head_bucket(Bucket="second-only")
        sockets = _sockets_in_tmp(first) + _sockets_in_tmp(second) if sys.platform == "linux" else []
        pids = first.pids + second.pids
        first.stop()
        first.stop()
    assert not any(map(_alive, pids))
    assert list(tmp_path.iterdir()) == []
    assert [path for path in sockets if path.exists()] == []


def test_killed_parent_takes_its_server_along(server_name: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _STARTS_ONE, server_name],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as parent:
        assert parent.stdout is not None
        *pids, directory = parent.stdout.readline().split()
        assert pids
        assert Path(directory).exists()
        parent.send_signal(signal.SIGKILL)
    assert _is_gone(tuple(map(int, pids)), Path(directory))


def test_failed_start_shows_the_log_and_leaves_nothing(tmp_path: Path) -> None:
    if why := servers.why_unavailable("seaweedfs"):
        pytest.skip(why)
    with pytest.raises(servers.ServerStartFailed, match="flag provided but not defined: -nonsense"):
        servers.start("seaweedfs", workdir=tmp_path, flags=("-nonsense",))
    assert list(tmp_path.iterdir()) == []


def test_server_that_does_not_answer_in_time_is_given_up(tmp_path: Path) -> None:
    if why := servers.why_unavailable("seaweedfs"):
        pytest.skip(why)
    with pytest.raises(servers.ServerStartFailed, match="did not answer in time"):
        servers.start("seaweedfs", workdir=tmp_path, timeout=0.05)
    assert list(tmp_path.iterdir()) == []


def test_refused_bucket_leaves_nothing(tmp_path: Path) -> None:
    if why := servers.why_unavailable("seaweedfs"):
        pytest.skip(why)
    with pytest.raises(ClientError):
        servers.start("seaweedfs", workdir=tmp_path, buckets=("no",))  # three characters at least
    assert list(tmp_path.iterdir()) == []


def test_server_that_is_not_there_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FDS_NULLSERVER", str(Path(tempfile.gettempdir()) / "no-such-program"))
    assert "run: " in str(servers.why_unavailable("null"))
    with pytest.raises(servers.ServerUnavailable, match="no-such-program"):
        servers.start("null")


def test_unknown_server_is_a_value_error_with_the_names() -> None:
    with pytest.raises(ValueError, match="seaweedfs, minio, ceph, moto, null"):
        servers.start("gcs")


def test_free_ports_and_their_offsets_differ() -> None:
    chosen = ports.free_ports(20, offsets=(0, 1))
    assert len({port + offset for port in chosen for offset in (0, 1)}) == 40
