"""One null server of each mode for a test file, over http and https."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from tests.servers.nullserver_fixture import BUCKET, Server, running


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    folder = tmp_path_factory.mktemp("tls")
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    certificate.private_key_pem.write_to_path(str(folder / "key.pem"))
    (folder / "cert.pem").write_bytes(b"".join(blob.bytes() for blob in certificate.cert_chain_pems))
    return folder / "ca.pem", ["--cert", str(folder / "cert.pem"), "--key", str(folder / "key.pem")]


def start(request: pytest.FixtureRequest, mode: str, *arguments: str) -> contextlib.AbstractContextManager[Server]:
    if request.param == "http":
        return running(mode, *arguments)
    ca, options = request.getfixturevalue("tls")
    return running(mode, *arguments, *options, ca=ca)


both = pytest.fixture(params=["http", "https"], scope="module")


@both
def fixed(request: pytest.FixtureRequest) -> Iterator[Server]:
    with start(request, "fixed", "--object-size", "3000000") as server:
        yield server


@both
def sink(request: pytest.FixtureRequest) -> Iterator[Server]:
    with start(request, "sink") as server:
        yield server


@both
def store(request: pytest.FixtureRequest) -> Iterator[Server]:
    with start(request, "store") as server:
        server.client().create_bucket(Bucket=BUCKET)
        yield server
