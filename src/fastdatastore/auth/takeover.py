"""What a botocore or boto3 S3 client is set up with, taken over: endpoint, region, certificates and credentials."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from fastdatastore.auth.chain import granted_by
from fastdatastore.auth.credentials import CredentialProvider, Credentials, snapshot_of
from fastdatastore.auth.endpoint import EndpointConfig
from fastdatastore.errors import ConfigurationError


def endpoint_of(client: Any) -> EndpointConfig:
    """The endpoint of a botocore S3 client.

    Raises:
        ConfigurationError: It is set up to do what this data plane does not.
    """
    from botocore import UNSIGNED

    meta = client.meta
    verify = client._endpoint.http_session._verify
    if verify is False:
        raise ConfigurationError("certificates are always verified: give verify the authority's PEM file, not False")
    if meta.config.signature_version is UNSIGNED:
        raise ConfigurationError("requests are always signed: give credentials instead of UNSIGNED")
    region = meta.region_name
    if region in (None, "aws-global"):
        region = "us-east-1"
    s3 = meta.config.s3 or {}
    ca_file = verify if isinstance(verify, str) else ""
    addressing = s3.get("addressing_style") or "auto"
    on_aws = EndpointConfig(
        "",
        region,
        ca_file,
        addressing,
        dualstack=bool(meta.config.use_dualstack_endpoint),
        fips=bool(meta.config.use_fips_endpoint),
        accelerate=bool(s3.get("use_accelerate_endpoint")),
    )
    if urlsplit(meta.endpoint_url).hostname in (on_aws.address("").host, *_AWS_HOSTS):
        return on_aws
    return EndpointConfig(meta.endpoint_url, region, ca_file, addressing)


# What botocore calls the endpoint of us-east-1, beside its own name.
_AWS_HOSTS = ("s3.amazonaws.com", "s3-fips.aws-global.amazonaws.com")


class ClientCredentials(CredentialProvider):
    """Those of a botocore client, refreshed as it does. They do not pickle.

    Args:
        client: The botocore client.
        renewed: Makes a new one when a server calls its credentials expired; None from it: there is none to be had.
    """

    def __init__(self, client: Any, renewed: Callable[[], Any]) -> None:
        super().__init__()
        self._source = client._request_signer._credentials
        self._renewed = renewed

    def __reduce__(self) -> tuple[Any, ...]:
        raise TypeError("credentials of another client are not pickled; let the other process make its own")

    def snapshot(self) -> Credentials:
        return snapshot_of(granted_by(self._source)[0])

    def renew(self, rejected: Credentials) -> Credentials:
        client = self._renewed()
        if client is not None:
            self._source = client._request_signer._credentials
        return self.snapshot()
