"""What S3 and AsyncS3 have in common: how they are made, shown and pickled."""

from __future__ import annotations

from typing import Any, TypeVar

from fastdatastore.auth.credentials import CredentialProvider, configured_endpoint
from fastdatastore.auth.endpoint import EndpointConfig
from fastdatastore.engine.client import Client
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
        endpoint_url: str | None = None,
        client: Client | None = None,
    ) -> None:
        root = Root(s3root)
        self._client = client or _client(endpoint_url)
        self._files = ResultFiles(tmproot)
        self._context = Context(self._client, root, self._files, encryption)

    def __reduce__(self) -> tuple[Any, ...]:
        at = self._context
        return _unpickle, (type(self), self._files.tmproot, at.root.url, at.encryption, self._client)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._context.root.url or '(no root)'} at {self._client.remote.endpoint}>"


def _client(endpoint_url: str | None) -> Client:
    if endpoint_url is None:
        return Client()
    credentials = CredentialProvider()
    found = configured_endpoint(credentials)
    return Client(EndpointConfig(endpoint_url, found.region, found.ca_file, found.addressing), credentials)


def _unpickle(kind: type[F], tmproot: str, s3root: str | None, encryption: str | None, client: Client) -> F:
    return kind(tmproot, s3root=s3root, encryption=encryption, client=client)
