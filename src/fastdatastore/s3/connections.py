"""From what a user says of the connection to the process's engine client for it, which all who say the same share.

Sharing saves a look for credentials, and sockets, for each of the many S3() that a flow makes.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import EllipsisType
from typing import Any, TypedDict, Unpack

from fastdatastore.auth.credentials import CredentialProvider, configured_endpoint
from fastdatastore.auth.customer_key import CustomerKey
from fastdatastore.auth.endpoint import EndpointConfig
from fastdatastore.auth.roles import AssumedRole
from fastdatastore.auth.takeover import ClientCredentials, endpoint_of
from fastdatastore.config import Settings
from fastdatastore.engine.client import Client
from fastdatastore.engine.options import NO_OPTIONS
from fastdatastore.errors import ConfigurationError
from fastdatastore.s3 import metaflow_settings

# Without locks: two threads may make the same at once, the first counts, and making one asks nobody for anything.
_clients: dict[Any, Client] = {}
_providers: dict[Any, CredentialProvider] = {}
_borrowed: weakref.WeakKeyDictionary[Any, dict[Settings, Client]] = weakref.WeakKeyDictionary()

# Environments that a process lives through; what is older is made anew.
_KEPT = 16

# What takes no botocore client to understand.
_PLAIN_PARAMS = {"endpoint_url", "region_name", "verify"}
_KEYS = {"aws_access_key_id", "aws_secret_access_key", "aws_session_token"}


class Connection(TypedDict, total=False):
    """What a user may say of a connection: the arguments of these names of S3, where they are explained."""

    encryption: str | EllipsisType | None
    role: str | None
    session_vars: Mapping[str, Any] | None
    client_params: Mapping[str, Any] | None
    external_client: Any
    inject_failure_rate: int | None
    kms_key_id: str | None
    customer_key: bytes | str | None
    storage_class: str | None
    requester_pays: bool
    expected_bucket_owner: str | None
    endpoint_url: str | None
    client: Client | None


def open_client(**given: Unpack[Connection]) -> Client:
    """The client that they ask for; what is not given Metaflow's configuration says, then AWS's.

    Raises:
        ConfigurationError: They ask for what cannot be, or contradict each other.
    """
    client, encryption, customer_key = given.get("client"), given.get("encryption", ...), given.get("customer_key")
    options: dict[str, Any] = {
        "kms_key_id": given.get("kms_key_id"),
        "customer_key": None if customer_key is None else CustomerKey(customer_key),
        "storage_class": given.get("storage_class"),
        "requester_pays": given.get("requester_pays") or None,
        "expected_bucket_owner": given.get("expected_bucket_owner"),
    }
    options = {name: value for name, value in options.items() if value is not None}
    if client is None:
        client = connect(
            given.get("endpoint_url"),
            given.get("role"),
            given.get("session_vars"),
            given.get("client_params"),
            given.get("external_client"),
            failure_rate(given.get("inject_failure_rate")),
        )
    if not isinstance(encryption, EllipsisType):
        options["encryption"] = encryption
    elif client.options == NO_OPTIONS and customer_key is None:
        options["encryption"] = metaflow_settings.encryption()
    return client.with_options(replace(client.options, **options))


def failure_rate(given: int | None) -> int:
    """Percent of requests that fail on purpose."""
    return int(os.environ.get("METAFLOW_S3_TEST_RETRYABLE_FAILURES", 0)) if given is None else given


def connect(
    endpoint_url: str | None = None,
    role: str | None = None,
    session_vars: Mapping[str, Any] | None = None,
    client_params: Mapping[str, Any] | None = None,
    external_client: Any = None,
    inject_failures: int = 0,
) -> Client:
    """The client for S3's arguments of these names; what is not given Metaflow's configuration says, then AWS's.

    Raises:
        ConfigurationError: They ask for what cannot be, or contradict each other.
    """
    settings = replace(Settings(), inject_failures=inject_failures)
    if external_client is not None:
        if endpoint_url is not None:
            raise ConfigurationError("endpoint_url and external_client both name an endpoint; give one of them")
        return _borrow(external_client, settings)
    params = dict(client_params or metaflow_settings.client_params())
    if endpoint_url is not None:
        params["endpoint_url"] = endpoint_url
    variables = (session_vars or metaflow_settings.session_vars()) if role else None
    who = (role, repr(variables), _surroundings())
    key = (who, _comparable(params), settings)
    return _clients.get(key) or _keep(_clients, key, _make(who, role, variables, params, settings))


def _make(
    who: Any, role: str | None, session_vars: Mapping[str, Any] | None, params: dict[str, Any], settings: Settings
) -> Client:
    if metaflow_settings.signs_in_by_itself():
        from metaflow.plugins.datatools.s3.s3util import get_s3_client

        def renewed() -> Any:
            return get_s3_client(role, session_vars, params)[0]

        theirs = renewed()
        return Client(endpoint_of(theirs), ClientCredentials(theirs, renewed), settings)
    provider = _providers.get(who) or _keep(
        _providers, who, AssumedRole(role, session_vars) if role else CredentialProvider()
    )
    if params.keys() <= _PLAIN_PARAMS:
        return Client(_with(configured_endpoint(provider), params), provider, settings)
    boto = _botocore_client(provider, params)
    if params.keys() & _KEYS:
        provider = ClientCredentials(boto, renewed=lambda: None)
    return Client(endpoint_of(boto), provider, settings)


def _with(found: EndpointConfig, params: Mapping[str, Any]) -> EndpointConfig:
    verify = params.get("verify")
    if verify is False:
        raise ConfigurationError("certificates are always verified: give verify the authority's PEM file, not False")
    return replace(
        found,
        url=params.get("endpoint_url") or found.url,
        region=params.get("region_name") or found.region,
        ca_file=verify if isinstance(verify, str) else found.ca_file,
    )


def _botocore_client(provider: CredentialProvider, params: dict[str, Any]) -> Any:
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError

    try:
        if isinstance(params.get("config"), Mapping):
            params = params | {"config": Config(**params["config"])}
        return provider.open_session().create_client("s3", **params)
    except (BotoCoreError, TypeError, ValueError) as error:
        raise ConfigurationError(f"client_params are no arguments of boto3's S3 client: {error}") from error


def _borrow(owner: Any, settings: Settings) -> Client:
    boto = getattr(owner, "client", owner)  # Metaflow's S3Client has boto3's inside
    if not hasattr(boto, "meta"):
        raise ConfigurationError(f"external_client must be Metaflow's S3Client or boto3's, got {type(owner).__name__}")
    known = weakref.ref(owner)

    def renewed() -> Any:
        owner = known()
        if owner is None or not hasattr(owner, "reset_client"):
            return None
        owner.reset_client()
        return owner.client

    made = _borrowed.setdefault(boto, {})
    return made.get(settings) or made.setdefault(
        settings, Client(endpoint_of(boto), ClientCredentials(boto, renewed), settings)
    )


def _keep(where: dict[Any, Any], key: Any, made: Any) -> Any:
    kept = where.setdefault(key, made)
    while len(where) > _KEPT:
        where.pop(next(iter(where)), None)
    return kept


def _comparable(params: Mapping[str, Any]) -> str:
    """The same for the same parameters; of botocore's Config, which has no comparison, what was given to it."""
    config = params.get("config")
    given = getattr(config, "_user_provided_options", config)
    return repr(sorted({**params, "config": given}.items(), key=lambda item: item[0]))


def _surroundings() -> tuple[Any, ...]:
    """What endpoints, credentials and settings are found by: variables, and the files of AWS."""
    variables = tuple(
        sorted(
            (name, value)
            for name, value in os.environ.items()
            if name.startswith(("AWS_", "FDS_", "SSL_CERT_"))
            or name.upper().endswith("_PROXY")
            or name in ("HOME", "REQUESTS_CA_BUNDLE")
        )
    )
    files = (
        os.environ.get("AWS_CONFIG_FILE", "~/.aws/config"),
        os.environ.get("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials"),
    )
    return variables, tuple(_stamp(Path(file).expanduser()) for file in files)


def _stamp(file: Path) -> tuple[int, int]:
    try:
        found = file.stat()
    except OSError:
        return 0, 0
    return found.st_mtime_ns, found.st_size
