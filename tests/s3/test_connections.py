"""Where an S3 goes and who signs for it: arguments, Metaflow's configuration, AWS's; shared within a process."""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fastdatastore import S3, errors
from fastdatastore.config import MIB
from fastdatastore.testing import servers
from fastdatastore.testing.servers import RunningServer

ELSEWHERE = "http://127.0.0.1:1"

Setter = Callable[..., None]


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Setter:
    """Nobody's configuration; returns what sets variables of it."""
    for name in [name for name in os.environ if name.startswith(("AWS_", "METAFLOW_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)

    def set_them(**variables: str) -> None:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    set_them(AWS_EC2_METADATA_DISABLED="true")
    return set_them


def _endpoint(**arguments: Any) -> str:
    return str(S3(**arguments)._client.remote.endpoint)


# ---- the endpoint ----


def test_an_argument_wins_over_metaflow_and_metaflow_over_aws(alone: Setter) -> None:
    assert _endpoint() == "AWS S3 in us-east-1"
    alone(AWS_ENDPOINT_URL="http://aws:1")
    assert _endpoint() == "http://aws:1"
    alone(METAFLOW_S3_ENDPOINT_URL="http://metaflow:1")
    assert _endpoint() == "http://metaflow:1"
    alone(METAFLOW_DATATOOLS_CLIENT_PARAMS='{"endpoint_url": "http://datatools:1"}')
    assert _endpoint() == "http://datatools:1"
    assert _endpoint(client_params={"endpoint_url": "http://params:1"}) == "http://params:1"
    assert _endpoint(endpoint_url="http://argument:1") == "http://argument:1"


def test_metaflows_files_are_read_where_metaflow_is_installed(
    alone: Setter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = tmp_path / "home" / "config_p.json"
    user.parent.mkdir()
    user.write_text(json.dumps({"METAFLOW_S3_ENDPOINT_URL": "http://user:1", "METAFLOW_TEMPDIR": "/from/user"}))
    alone(METAFLOW_HOME=str(user.parent), METAFLOW_PROFILE="p")
    assert (_endpoint(), S3()._tmproot) == ("http://user:1", "/from/user")
    project = tmp_path / "project" / ".metaflow" / "config.json"
    project.parent.mkdir(parents=True)
    project.write_text(json.dumps({"METAFLOW_S3_ENDPOINT_URL": "http://project:1"}))
    (tmp_path / "project" / "deeper").mkdir()
    monkeypatch.chdir(tmp_path / "project" / "deeper")
    assert (_endpoint(), S3()._tmproot) == ("http://project:1", "/from/user")
    assert "metaflow" not in sys.modules


def test_a_configuration_that_is_no_json_says_which(alone: Setter) -> None:
    alone(METAFLOW_DATATOOLS_CLIENT_PARAMS="endpoint_url=x")
    with pytest.raises(errors.ConfigurationError, match="METAFLOW_DATATOOLS_CLIENT_PARAMS"):
        S3()


def test_metaflows_certificate_is_the_one_to_verify_by(alone: Setter, tmp_path: Path) -> None:
    with servers.start(servers.EMBEDDED, tls=True, buckets=("bucket",)) as server:
        keys = {"AWS_ACCESS_KEY_ID": server.access_key, "AWS_SECRET_ACCESS_KEY": server.secret_key}
        alone(METAFLOW_S3_ENDPOINT_URL=server.url, METAFLOW_S3_VERIFY_CERTIFICATE=str(server.ca_file), **keys)
        with S3(s3root="s3://bucket") as s3:
            s3.put("key", b"value")
            assert s3.get("key").blob == b"value"


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"verify": False}, "always verified"),
        ({"verify": False, "config": {}}, "always verified"),
        ({"no_such_argument": 1}, "client_params"),
        ({"endpoint_url": "no endpoint"}, "endpoint"),
        ({"config": {"no_such_option": 1}}, "client_params"),
    ],
)
def test_client_params_that_cannot_be_are_refused(alone: Setter, params: dict[str, Any], words: str) -> None:
    with pytest.raises(errors.ConfigurationError, match=words):
        S3(client_params=params)


# ---- whose credentials ----


def _works(s3: S3) -> None:
    """Each kind of operation: metaflow.S3 fails its many-object ones with client_params."""
    large = bytes(20 * MIB)
    s3.put("one", b"1")
    s3.put_many([("two", b"2"), ("large", large)])
    assert [found.blob for found in s3.get_many(["one", "two"])] == [b"1", b"2"]
    assert s3.get("large").blob == large
    assert [found.size for found in s3.info_many(["one", "large"])] == [1, len(large)]
    assert len(s3.list_recursive()) == len(s3.list_paths()) == len(s3.get_all()) == 3


def test_client_params_serve_every_operation(
    s3_server: RunningServer, bucket: str, alone: Setter, tmp_path: Path
) -> None:
    params = {
        "endpoint_url": s3_server.url,
        "region_name": s3_server.region,
        "aws_access_key_id": s3_server.access_key,
        "aws_secret_access_key": s3_server.secret_key,
        "config": {"s3": {"addressing_style": "path"}, "max_pool_connections": 5},
    }
    before = json.dumps(params)
    with S3(str(tmp_path), s3root=f"s3://{bucket}/a", client_params=params) as s3:
        _works(s3)
    assert json.dumps(params) == before  # metaflow.S3 puts an object of its own in


class _LikeMetaflows:
    """As Metaflow's S3Client: boto3's is in `client`."""

    def __init__(self, server: RunningServer) -> None:
        self._server = server
        self.client = server.client()

    def reset_client(self) -> None:
        self.client = self._server.client()


def test_an_external_client_serves_every_operation(
    s3_server: RunningServer, bucket: str, alone: Setter, tmp_path: Path
) -> None:
    alone(AWS_ENDPOINT_URL=ELSEWHERE)
    theirs = _LikeMetaflows(s3_server)
    for i, external in enumerate((theirs, theirs.client)):
        with S3(str(tmp_path), s3root=f"s3://{bucket}/{i}", external_client=external) as s3:
            _works(s3)
    assert S3(external_client=theirs)._client is S3(external_client=theirs)._client
    with pytest.raises(errors.ConfigurationError, match="external_client"):
        S3(external_client=theirs, endpoint_url=ELSEWHERE)
    with pytest.raises(errors.ConfigurationError, match="external_client"):
        S3(external_client=object())


def test_a_role_is_assumed_once(alone: Setter, tmp_path: Path) -> None:
    if why := servers.why_unavailable("moto"):
        pytest.skip(why)
    with servers.start("moto", buckets=("bucket",)) as server:
        alone(**server.env())
        role = "arn:aws:iam::123456789012:role/reader"
        with S3(str(tmp_path), s3root="s3://bucket", role=role) as s3:
            _works(s3)
            assumed = s3._client.remote.snapshot()
        assert assumed.access_key.startswith("ASIA")
        assert S3(role=role, session_vars={})._client.remote.snapshot() == assumed
        assert S3()._client.remote.snapshot() != assumed


def test_a_role_that_is_refused_is_an_error_at_once(alone: Setter) -> None:
    alone(AWS_ENDPOINT_URL=ELSEWHERE, AWS_ACCESS_KEY_ID="key", AWS_SECRET_ACCESS_KEY="secret", AWS_MAX_ATTEMPTS="1")
    with pytest.raises(errors.NoCredentials, match="could not be had"):
        S3(role="arn:aws:iam::123456789012:role/reader").get("s3://bucket/key")


# ---- shared ----


def test_clients_that_say_the_same_share_one(alone: Setter, tmp_path: Path) -> None:
    first = S3(endpoint_url=ELSEWHERE)._client
    assert S3(s3root="s3://bucket", tmproot=str(tmp_path), endpoint_url=ELSEWHERE)._client is first
    assert S3(endpoint_url="http://127.0.0.1:2")._client is not first
    assert S3(endpoint_url=ELSEWHERE, inject_failure_rate=10)._client is not first
    alone(AWS_ACCESS_KEY_ID="another")
    assert S3(endpoint_url=ELSEWHERE)._client is not first


def test_credentials_files_that_change_are_read_again(alone: Setter, tmp_path: Path) -> None:
    file = tmp_path / ".aws" / "credentials"
    file.parent.mkdir()
    for key in ("FIRST", "THE SECOND"):
        file.write_text(f"[default]\naws_access_key_id = {key}\naws_secret_access_key = s\n")
        assert S3()._client.remote.snapshot().access_key == key


@pytest.fixture
def counted(alone: Setter, tmp_path: Path) -> Path:
    """A credential process, and the file in which it writes a line each time that it is asked."""
    script, asked = tmp_path / "process.py", tmp_path / "asked"
    script.write_text(
        f"import json, time\nopen({str(asked)!r}, 'a').write('once\\n')\ntime.sleep(0.2)\n"
        "print(json.dumps({'Version': 1, 'AccessKeyId': 'KEY', 'SecretAccessKey': 's',"
        " 'Expiration': '2099-01-01T00:00:00Z'}))\n"
    )
    (tmp_path / "config").write_text(f"[default]\ncredential_process = {sys.executable} {script}\n")
    alone(AWS_CONFIG_FILE=str(tmp_path / "config"))
    return asked


def _ask(_: int = 0) -> str:
    return S3(endpoint_url=ELSEWHERE)._client.remote.snapshot().access_key


def test_credentials_are_fetched_once_for_all_threads_and_forks(counted: Path) -> None:
    threads = [threading.Thread(target=_ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with multiprocessing.get_context("fork").Pool(4) as pool:
        assert pool.map_async(_ask, range(8)).get(timeout=30) == ["KEY"] * 8
    S3(endpoint_url="http://127.0.0.1:2")._client.remote.snapshot()
    assert counted.read_text() == "once\n"
