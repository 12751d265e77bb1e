"""What S3 and AsyncS3 have in common: how they are made, shown and pickled."""

from __future__ import annotations

from typing import Any, TypeVar

from fastdatastore.auth.credentials import CredentialProvider, configured_endpoint
from fastdatastore.auth.customer_key import CustomerKey
from fastdatastore.auth.endpoint import EndpointConfig
from fastdatastore.engine.client import Client
from fastdatastore.engine.options import NO_OPTIONS, Options
from fastdatastore.s3.context import Context
from fastdatastore.s3.files import ResultFiles
from fastdatastore.s3.roots import Root

F = TypeVar("F", bound="Face")


class Face:
    """The arguments are those of S3."""

    def __init__(
        self,
        tmproot: str = ".",
        *,
        s3root: str | None = None,
        encryption: str | None = None,
        kms_key_id: str | None = None,
        customer_key: bytes | str | None = None,
        storage_class: str | None = None,
        requester_pays: bool = False,
        expected_bucket_owner: str | None = None,
        endpoint_url: str | None = None,
        client: Client | None = None,
    ) -> None:
        root = Root(s3root)
        options = Options(
            encryption,
            kms_key_id,
            CustomerKey(customer_key) if customer_key is not None else None,
            storage_class,
            requester_pays,
            expected_bucket_owner,
        )
        self._client = client or _client(endpoint_url)
        if options != NO_OPTIONS:
            self._client = self._client.with_options(options)
        self._files = ResultFiles(tmproot)
        self._context = Context(self._client, root, self._files)

    def __reduce__(self) -> tuple[Any, ...]:
        at = self._context
        return _unpickle, (type(self), self._files.tmproot, at.root.url, self._client)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._context.root.url or '(no root)'} at {self._client.remote.endpoint}>"


def _client(endpoint_url: str | None) -> Client:
    if endpoint_url is None:
        return Client()
    credentials = CredentialProvider()
    found = configured_endpoint(credentials)
    return Client(EndpointConfig(endpoint_url, found.region, found.ca_file, found.addressing), credentials)


def _unpickle(kind: type[F], tmproot: str, s3root: str | None, client: Client) -> F:
    return kind(tmproot, s3root=s3root, client=client)
