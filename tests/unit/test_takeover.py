"""What is taken over of a botocore client is where it sends requests, and whose they are."""

from __future__ import annotations

from typing import Any

import botocore.session
import pytest
from botocore import UNSIGNED
from botocore.config import Config

from fastdatastore.auth.endpoint import EndpointConfig
from fastdatastore.auth.takeover import ClientCredentials, endpoint_of
from fastdatastore.errors import ConfigurationError


def _client(**params: Any) -> Any:
    keys = {"aws_access_key_id": "KEY", "aws_secret_access_key": "secret", "region_name": "eu-west-1"}
    return botocore.session.Session().create_client("s3", **(keys | params))


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({}, EndpointConfig("", "eu-west-1")),
        ({"region_name": "us-east-1"}, EndpointConfig("", "us-east-1")),
        ({"region_name": "aws-global"}, EndpointConfig("", "us-east-1")),
        ({"region_name": "cn-north-1"}, EndpointConfig("", "cn-north-1")),
        ({"endpoint_url": "http://minio:9000"}, EndpointConfig("http://minio:9000", "eu-west-1")),
        ({"config": Config(s3={"addressing_style": "path"})}, EndpointConfig("", "eu-west-1", "", "path")),
        ({"config": Config(use_dualstack_endpoint=True)}, EndpointConfig("", "eu-west-1", dualstack=True)),
        ({"config": Config(use_fips_endpoint=True)}, EndpointConfig("", "eu-west-1", fips=True)),
        (
            {"region_name": "us-east-1", "config": Config(use_fips_endpoint=True)},
            EndpointConfig("", "us-east-1", fips=True),
        ),
        (
            {"config": Config(use_dualstack_endpoint=True, s3={"use_accelerate_endpoint": True})},
            EndpointConfig("", "eu-west-1", dualstack=True, accelerate=True),
        ),
        (
            {"endpoint_url": "http://minio:9000", "config": Config(use_dualstack_endpoint=True)},
            EndpointConfig("http://minio:9000", "eu-west-1"),
        ),
    ],
)
def test_the_endpoint_is_the_clients(monkeypatch: pytest.MonkeyPatch, params: Any, expected: EndpointConfig) -> None:
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    assert endpoint_of(_client(**params)) == expected


@pytest.mark.parametrize("params", [{"verify": False}, {"config": Config(signature_version=UNSIGNED)}])
def test_what_is_not_done_here_is_refused(params: Any) -> None:
    with pytest.raises(ConfigurationError, match="always"):
        endpoint_of(_client(**params))


def test_credentials_are_the_clients_and_renewed_by_a_new_one() -> None:
    first, second = _client(), _client(aws_access_key_id="NEWER", aws_session_token="token")
    provider = ClientCredentials(first, renewed=lambda: second)
    old = provider.snapshot()
    new = provider.renew(old)
    assert (old.access_key, new.access_key, new.session_token) == ("KEY", "NEWER", "token")
    assert provider.snapshot() == new
    stuck = ClientCredentials(first, renewed=lambda: None)
    assert stuck.renew(old) == old
