"""HTTP proxies that refuse, that are gone, or that are not meant for the endpoint: 14, 15."""

from __future__ import annotations

import os
import pickle
import socket
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from fastdatastore import errors
from fastdatastore.engine.client import Client
from tests.support.clients import client_at
from tests.support.scripted_server import Reply, ScriptedServer, StoredObject, in_turn

needs_aiobotocore = pytest.mark.skipif(find_spec("aiobotocore") is None, reason="aiobotocore is not installed")


@pytest.fixture(autouse=True)
def _nothing_is_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.lower().endswith("_proxy") or name == "FDS_ENGINE":
            monkeypatch.delenv(name)


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@needs_aiobotocore
@pytest.mark.fault(14)
@pytest.mark.parametrize(("scheme", "status"), [("http", 407), ("https", 407), ("https", 403)])
def test_a_proxy_that_refuses_is_an_error_at_once_that_names_the_variable(
    monkeypatch: pytest.MonkeyPatch, scheme: str, status: int
) -> None:
    variable = f"{scheme.upper()}_PROXY"
    with ScriptedServer(in_turn(Reply(status))) as proxy:
        monkeypatch.setenv(variable, proxy.url.replace("//", "//user:hunter2@"))
        client = client_at(f"{scheme}://s3.invalid:9000")
        with pytest.raises(errors.ProxyError, match=f"What to do: check the user and password in {variable}") as caught:
            client.run_one(client.get("bucket", "key"))
        assert len(proxy.requests) == 1
    assert isinstance(caught.value, errors.ConfigurationError)
    assert "hunter2" not in str(caught.value)
    again = pickle.loads(pickle.dumps(caught.value))
    assert (type(again), str(again)) == (errors.ProxyError, str(caught.value))


@needs_aiobotocore
@pytest.mark.fault(14)
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_is_gone_is_an_error_that_names_the_variable(monkeypatch: pytest.MonkeyPatch, scheme: str) -> None:
    monkeypatch.setenv(f"{scheme}_proxy", f"http://127.0.0.1:{closed_port()}")
    client = client_at(f"{scheme}://s3.invalid:9000")
    with pytest.raises(errors.ConnectError, match=f"check the proxy that {scheme}_proxy names.*NO_PROXY"):
        client.run_one(client.get("bucket", "key"))


@pytest.mark.fault(14)
@pytest.mark.parametrize("url", ["socks5://127.0.0.1:1080", "http://:x", "http://127.0.0.1:99999"])
def test_a_proxy_that_is_none_is_a_configuration_error(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("HTTPS_PROXY", url)
    with pytest.raises(errors.ConfigurationError, match="HTTPS_PROXY"):
        client_at("https://s3.invalid:9000")


@pytest.mark.fault(14)
def test_a_server_that_answers_as_a_proxy_is_no_s3_server() -> None:
    with ScriptedServer(in_turn(Reply(407))) as server:
        client = client_at(server.url)
        with pytest.raises(errors.ProxyError, match="no S3 server but a proxy"):
            client.run_one(client.get("bucket", "key"))


@pytest.mark.fault(15)
@pytest.mark.parametrize("exempt", ["127.0.0.1", "*", "10.0.0.0/8,127.0.0.0/8"])
def test_no_proxy_goes_straight_to_the_server(monkeypatch: pytest.MonkeyPatch, exempt: str) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{closed_port()}")
    monkeypatch.setenv("NO_PROXY", exempt)
    with ScriptedServer(StoredObject(b"straight").get) as server:
        client: Client = client_at(server.url)
        plane: Any = client.remote.plane
        assert plane.__name__ == "fastdatastore._native"
        assert bytes(client.run_one(client.get("bucket", "key")).content) == b"straight"


@pytest.mark.fault(15)
def test_credential_services_of_the_instance_are_never_asked_by_a_proxy(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from fastdatastore.auth.credentials import CredentialProvider
    from tests.support.credential_services import MetadataService

    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{closed_port()}")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with ScriptedServer(MetadataService()) as service:
        monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", service.url)
        assert CredentialProvider().snapshot().access_key == "KEY1"
