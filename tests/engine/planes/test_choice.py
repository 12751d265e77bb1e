"""Which data plane an endpoint gets."""

from __future__ import annotations

import importlib
import os
from importlib.util import find_spec
from types import ModuleType
from typing import Any

import pytest

from fastdatastore.engine import planes
from fastdatastore.engine.planes import proxy_for, select
from fastdatastore.errors import ConfigurationError

URL = "https://s3.example.com:9000"

needs_aiobotocore = pytest.mark.skipif(find_spec("aiobotocore") is None, reason="aiobotocore is not installed")


@pytest.fixture(autouse=True)
def _nothing_is_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.lower().endswith("_proxy") or name in ("FDS_ENGINE", "REQUEST_METHOD"):
            monkeypatch.delenv(name)


@pytest.fixture
def without_native(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str) -> ModuleType:
        if name == "fastdatastore._native":
            raise ImportError("no such module here")
        return importlib.import_module(name)

    monkeypatch.setattr(planes, "import_module", refuse)
    planes._native.cache_clear()
    monkeypatch.setattr(planes, "_native", planes._native.__wrapped__)


@pytest.fixture
def without_aiobotocore(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planes, "find_spec", lambda name: None)


def name_of(module: Any) -> str:
    return str(module.__name__)


def test_native_is_the_default() -> None:
    pytest.importorskip("fastdatastore._native")
    assert name_of(select()) == name_of(select(URL)) == "fastdatastore._native"


@needs_aiobotocore
@pytest.mark.parametrize("text", ["portable", " Portable "])
def test_the_environment_chooses_portable(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("FDS_ENGINE", text)
    assert name_of(select()).endswith(".portable")


def test_an_engine_that_does_not_exist_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FDS_ENGINE", "turbo")
    with pytest.raises(ConfigurationError, match="FDS_ENGINE must be native or portable, got 'turbo'"):
        select()


@needs_aiobotocore
@pytest.mark.usefixtures("without_native")
def test_portable_stands_in_where_native_cannot_be_loaded() -> None:
    assert name_of(select()).endswith(".portable")


@pytest.mark.usefixtures("without_native")
def test_native_is_not_replaced_when_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FDS_ENGINE", "native")
    with pytest.raises(ConfigurationError, match=r"FDS_ENGINE=native.*no such module here"):
        select()


@needs_aiobotocore
def test_an_endpoint_behind_a_proxy_gets_portable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:3128")
    assert name_of(select(URL)).endswith(".portable")
    assert name_of(select("http://s3.example.com")) == name_of(select()) == "fastdatastore._native"


def test_native_refuses_to_go_round_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("fastdatastore._native")
    monkeypatch.setenv("FDS_ENGINE", "native")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:3128")
    with pytest.raises(ConfigurationError, match="NO_PROXY"):
        select(URL)
    monkeypatch.setenv("NO_PROXY", "s3.example.com")
    assert name_of(select(URL)) == "fastdatastore._native"


@pytest.mark.usefixtures("without_aiobotocore")
@pytest.mark.parametrize(("name", "value"), [("FDS_ENGINE", "portable"), ("HTTPS_PROXY", "http://proxy:3128")])
def test_what_is_missing_for_portable_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError, match=r"pip install aiobotocore"):
        select(URL)


# ---- proxies ----


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"])
def test_a_proxy_is_found_by_any_of_its_names(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "http://user:secret@proxy:3128")
    assert proxy_for(URL) == "http://user:secret@proxy:3128"


def test_a_proxy_is_for_its_scheme(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "proxy:3128")
    assert proxy_for("http://s3.example.com") == "http://proxy:3128"
    assert proxy_for(URL) is None


def test_lower_case_wins_and_empty_means_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:3128")
    monkeypatch.setenv("https_proxy", "")
    assert proxy_for(URL) is None


def test_a_cgi_script_does_not_take_its_callers_header_for_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUEST_METHOD", "GET")
    monkeypatch.setenv("HTTP_PROXY", "http://attacker:80")
    assert proxy_for("http://s3.example.com") is None


@pytest.mark.fault(15)
@pytest.mark.parametrize(
    "entry",
    [
        "*",
        "s3.example.com",
        "S3.Example.COM",
        "example.com",
        ".example.com",
        "*.example.com",
        "other, example.com",
        "s3.example.com:9000",
    ],
)
def test_no_proxy_exempts_a_host(monkeypatch: pytest.MonkeyPatch, entry: str) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:3128")
    monkeypatch.setenv("NO_PROXY", entry)
    assert proxy_for(URL) is None


@pytest.mark.parametrize("entry", ["", ",", "ample.com", "s3.example.com:9001", "example.com.evil", "10.0.0.0/8"])
def test_no_proxy_exempts_no_other(monkeypatch: pytest.MonkeyPatch, entry: str) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:3128")
    monkeypatch.setenv("NO_PROXY", entry)
    assert proxy_for(URL) == "http://proxy:3128"


@pytest.mark.parametrize(
    ("host", "entry"),
    [
        ("10.1.2.3", "10.0.0.0/8"),
        ("10.1.2.3", "10.1.2.3"),
        ("[fd00::1]", "fd00::/8"),
        ("[::1]", "::1"),
        ("[::1]", "[::1]"),
    ],
)
def test_no_proxy_exempts_addresses_and_networks(monkeypatch: pytest.MonkeyPatch, host: str, entry: str) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://proxy:3128")
    monkeypatch.setenv("NO_PROXY", entry)
    assert proxy_for(f"http://{host}:9000") is None
    monkeypatch.setenv("NO_PROXY", "192.168.0.0/16")
    assert proxy_for(f"http://{host}:9000") is not None


@pytest.mark.fault(14)
@pytest.mark.parametrize(
    "proxy", ["socks5://user:secret@proxy:1080", "http://", "http://user:secret@proxy:port", "http://[::1"]
)
def test_a_proxy_that_cannot_be_used_is_named_without_its_password(monkeypatch: pytest.MonkeyPatch, proxy: str) -> None:
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    with pytest.raises(ConfigurationError, match="HTTPS_PROXY must be http") as caught:
        select(URL)
    assert "secret" not in str(caught.value)
