"""The portable plane goes through an HTTP proxy; the native one knows none."""

from __future__ import annotations

import base64
import os
import socket
import ssl
import threading
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
import trustme

from fastdatastore.engine.planes import portable
from tests.engine.planes.caller import Caller
from tests.support.scripted_server import Reply, ScriptedServer, in_turn

pytestmark = pytest.mark.skipif(find_spec("aiobotocore") is None, reason="aiobotocore is not installed")


@pytest.fixture(autouse=True)
def _nothing_is_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


@pytest.fixture
def caller() -> Iterator[Caller]:
    caller = Caller(portable)
    yield caller
    caller.plane.close()


def test_plain_http_asks_the_proxy(caller: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    with ScriptedServer(in_turn(Reply(200, b"by proxy"))) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url.replace("//", "//user:secret@"))
        report = caller.ask("http://s3.invalid:9000", path="/bucket/a b")
    assert (report.outcome, report.content) == (portable.DONE, b"by proxy")
    assert proxy.requests[0].target == "http://s3.invalid:9000/bucket/a%20b"
    assert proxy.requests[0].headers["host"] == "s3.invalid:9000"
    expected = "Basic " + base64.b64encode(b"user:secret").decode()
    assert proxy.requests[0].headers["proxy-authorization"] == expected
    assert report.peer == proxy.url.removeprefix("http://")


def test_https_goes_through_a_tunnel(caller: Caller, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("s3.invalid").configure_cert(context)
    with ScriptedServer(in_turn(Reply(200, b"through a tunnel")), tls=context) as server:
        tunnel = _Tunnel(server.port)
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{tunnel.port}")
        report = caller.ask(caller.endpoint("https://s3.invalid:443", str(tmp_path / "authority.pem")))
    assert (report.outcome, report.why, report.content) == (portable.DONE, "", b"through a tunnel")
    assert tunnel.heads[0].startswith(b"CONNECT s3.invalid:443 HTTP/1.1\r\n")
    assert b"uthorization" not in tunnel.heads[0]  # the proxy learns nothing of the request


def test_a_proxy_that_refuses_or_is_gone_is_a_failure_to_connect(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ScriptedServer(in_turn(Reply(407))) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        refused = caller.ask("https://s3.invalid:443")
    gone = caller.ask(caller.endpoint("https://s3.invalid:443"))
    assert (refused.outcome, gone.outcome) == (portable.CONNECT_FAILED, portable.CONNECT_FAILED)


class _Tunnel:
    """Takes one CONNECT, to wherever, and forwards to a port."""

    def __init__(self, to: int) -> None:
        self.heads: list[bytes] = []
        self._to = to
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with self._listener, self._listener.accept()[0] as client:
            self.heads.append(client.recv(65536))
            with socket.create_connection(("127.0.0.1", self._to)) as server:
                client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                back = threading.Thread(target=_forward, args=(server, client), daemon=True)
                back.start()
                _forward(client, server)
                back.join(5)


def _forward(source: socket.socket, sink: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        pass
