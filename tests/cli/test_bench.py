"""`fds bench`, as a user types it, against real servers."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from fastdatastore.testing import servers
from fastdatastore.testing.servers import RunningServer
from tests.cli.conftest import Fds

_RESULT = {
    "name": str,
    "client": str,
    "bytes": int,
    "ops": int,
    "seconds": float,
    "gbit_per_s": float,
    "core_s_per_gb": float,
    "ops_per_s": float,
    "latency_ms": dict,
    "retries": int,
    "errors": int,
    "verified_by": str,
    "peak_rss_bytes": int,
}


def _need(server: str) -> None:
    if (why := servers.why_unavailable(server)) is not None:
        pytest.skip(why)


def _results(path: Path) -> list[dict[str, Any]]:
    document = json.loads(path.read_text(encoding="utf-8"))
    assert document["schema"] == 1
    for result in document["results"]:
        assert {name: type(result[name]) for name in _RESULT} == _RESULT
        assert set(result["latency_ms"]) == {"p50", "p90", "p99", "max"}
    return list(document["results"])


# ---- what it measures ----


@pytest.mark.parametrize(
    "command",
    [
        "bench --server null --op get --size 64MiB --json out.json",
        "bench --server null --op put --size 64MiB --json out.json",
        "bench --server null --op get --size 64MiB --tls --json out.json",
        "bench --server null --op put --size 64MiB --tls --json out.json",
        "bench --server null --size 1 --json out.json",
        "bench --server null --count 300 --object-size 16KiB --repeat 3 --json out.json",
        "bench --server embedded --size 20MiB --json out.json",
        "bench --server embedded --op get --count 30 --object-size 1e5 --tls --json out.json",
        "bench --server moto --count 3 --object-size 1MiB --json out.json",
    ],
)
def test_every_byte_is_verified(command: str, fds: Fds, tmp_path: Path) -> None:
    arguments = shlex.split(command)
    _need({"embedded": "seaweedfs"}.get(arguments[2], arguments[2]))
    done = fds(*arguments[:-1], str(tmp_path / "out.json"))
    assert (done.returncode, "\r" in done.stdout + done.stderr, "\x1b" in done.stdout) == (0, False, False), done.stderr
    results = _results(tmp_path / "out.json")
    assert [result["name"].split()[0] for result in results] == (
        [arguments[arguments.index("--op") + 1]] if "--op" in arguments else ["put", "get"]
    )
    for result in results:
        assert result["client"] == "fastdatastore"
        assert result["errors"] == 0
        assert result["verified_by"] not in ("", "none")
        assert result["gbit_per_s"] == pytest.approx(result["bytes"] * 8e-9 / result["seconds"], rel=0.01, abs=1e-3)


def test_fds_bench_server_null_says_what_it_ran_on(fds: Fds, tmp_path: Path) -> None:
    _need("null")
    done = fds("bench", "--server", "null", "--size", "1MiB", "--json", str(tmp_path / "o"), FDS_LOOPS="1")
    environment = json.loads((tmp_path / "o").read_text())["environment"]
    assert environment["data_plane"] == "native, 1 loop"
    assert environment["settings"]["loops"] == 1
    assert environment["server"] == "null"
    assert environment["tls"] is False
    assert set(environment) >= {"python", "platform", "cpu", "cores", "crc_kernels", "tls_library", "date"}
    assert "native, 1 loop" in done.stdout
    assert environment["crc_kernels"]["crc64nvme"] in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 100
    assert len(done.stderr.splitlines()) == 2  # one for each finished workload


@pytest.mark.long
def test_fds_bench_is_the_main_job(fds: Fds, tmp_path: Path) -> None:
    _need("seaweedfs")
    done = fds("bench", "--json", str(tmp_path / "out.json"))
    assert done.returncode == 0
    assert [result["name"] for result in _results(tmp_path / "out.json")] == [
        f"{operation} {workload}" for workload in ("1x512MiB", "64x4MiB", "1000x16KiB") for operation in ("put", "get")
    ]


# ---- a bucket of the user's ----


def _keys(server: RunningServer, bucket: str) -> dict[str, bytes]:
    with contextlib.closing(server.client()) as client:
        listed = client.list_objects_v2(Bucket=bucket).get("Contents", ())
        return {item["Key"]: client.get_object(Bucket=bucket, Key=item["Key"])["Body"].read() for item in listed}


@pytest.fixture
def full_bucket(bucket: str, s3_server: RunningServer) -> str:
    """A bucket in which a user has something, also below a prefix like the benchmark's."""
    with contextlib.closing(s3_server.client()) as client:
        for key in ("mine.txt", "fds-bench-mine/1x1MiB/0000000.1048576"):
            client.put_object(Bucket=bucket, Key=key, Body=key.encode())
    return bucket


def test_fds_bench_endpoint_bucket_touches_nothing_else_and_removes_what_it_made(
    fds: Fds, s3_server: RunningServer, full_bucket: str
) -> None:
    before = _keys(s3_server, full_bucket)
    variables = s3_server.env()
    endpoint = variables.pop("AWS_ENDPOINT_URL")
    done = fds(
        *("bench", "--endpoint", endpoint, "--bucket", full_bucket, "--count", "20", "--object-size", "1MiB"),
        **variables,
    )
    assert done.returncode == 0, done.stderr
    assert _keys(s3_server, full_bucket) == before


def test_fds_bench_bucket_takes_the_endpoint_from_the_environment(
    fds: Fds, s3_server: RunningServer, bucket: str
) -> None:
    done = fds("bench", "--bucket", bucket, "--size", "1MiB", **s3_server.env())
    assert done.returncode == 0, done.stderr
    assert s3_server.url in done.stdout
    assert _keys(s3_server, bucket) == {}


def test_fds_bench_bucket_missing(fds: Fds, s3_server: RunningServer) -> None:
    done = fds("bench", "--bucket", "there-is-no-such-bucket", "--size", "1MiB", **s3_server.env())
    assert done.returncode == 1
    assert done.stderr.startswith("fds: ")
    assert len(done.stderr.splitlines()) == 1


def test_fds_bench_endpoint_nobody_listens(fds: Fds) -> None:
    done = fds(
        *("bench", "--endpoint", "http://127.0.0.1:1", "--bucket", "b", "--size", "1MiB"),
        AWS_ACCESS_KEY_ID="a",
        AWS_SECRET_ACCESS_KEY="s",
    )
    assert done.returncode == 1
    assert done.stderr.startswith("fds: ")
    assert len(done.stderr.splitlines()) == 1


def test_fds_bench_bucket_without_credentials(fds: Fds) -> None:
    done = fds("bench", "--endpoint", "http://127.0.0.1:1", "--bucket", "b", "--size", "1MiB")
    assert done.returncode == 1
    assert done.stderr.startswith("fds: no credentials were found")


# ---- what cannot be run ----


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("bench --size 5parsecs", "'5parsecs' is no size"),
        ("bench --size 0", "out of range"),
        ("bench --size -1", "'-1' is no size"),
        ("bench --count 3", "go together"),
        ("bench --object-size 3", "go together"),
        ("bench --count 0 --object-size 3", "'0' is no whole number"),
        ("bench --size 1 --count 3 --object-size 3", "give one or the other"),
        ("bench --op head", "invalid choice: 'head'"),
        ("bench --server nowhere", "invalid choice: 'nowhere'"),
        ("bench --server null --bucket b", "--server starts a server of its own"),
        ("bench --endpoint http://h", "needs --bucket"),
        ("bench --bucket b --tls", "--tls is for --server"),
        ("bench --json /no/such/directory/out.json", "cannot be written"),
        ("bench --server null --size 5TiB", "of memory"),
        ("bench --siz 1MiB", "unrecognized arguments: --siz"),
    ],
)
def test_a_command_that_cannot_be_run_is_one_line_and_exit_2(command: str, says: str, fds: Fds) -> None:
    done = fds(*shlex.split(command))
    assert done.returncode == 2
    assert says in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert done.stdout == ""


def test_fds_bench_without_the_native_module() -> None:
    program = (
        "import sys; sys.modules['fastdatastore._native'] = None;"
        "from fastdatastore.cli.main import main; sys.exit(main(['bench', '--server', 'null', '--size', '1']))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    if find_spec("aiobotocore") is None:
        assert done.returncode == 1
        assert "the native module cannot be loaded" in done.stderr
        assert "pip install aiobotocore" in done.stderr
    else:
        assert done.returncode == 0, done.stderr
        assert "data plane portable" in done.stdout


@pytest.mark.parametrize(
    ("server", "variable"), [("null", "FDS_NULLSERVER"), ("embedded", "FDS_WEED"), ("minio", "FDS_MINIO")]
)
def test_fds_bench_server_missing(server: str, variable: str, fds: Fds) -> None:
    done = fds("bench", "--server", server, "--size", "1MiB", **{variable: os.devnull})
    assert done.returncode == 2
    assert "run: " in done.stderr
    assert len(done.stderr.splitlines()) == 1
