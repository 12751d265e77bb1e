"""What S3 and AsyncS3 have in common: how they are made, shown and pickled."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Mapping
from types import EllipsisType
from typing import Any, TypeVar

from fastdatastore.engine.client import Client
from fastdatastore.s3 import metaflow_settings
from fastdatastore.s3.connections import failure_rate, open_client
from fastdatastore.s3.context import Context
from fastdatastore.s3.files import ResultFiles
from fastdatastore.s3.roots import Root
from fastdatastore.s3.runs import root_of

F = TypeVar("F", bound="Face")


class Face:
    """The arguments are those of S3."""

    TYPE = "s3"

    @classmethod
    def get_root_from_config(cls, echo: Any = None, create_on_absent: bool = True) -> str | None:
        """The s3:// URL below which Metaflow's flows keep their data; None if none is configured."""
        return metaflow_settings.datatools_root()

    def __init__(
        self,
        tmproot: str | os.PathLike[str] | None = None,
        bucket: str | None = None,
        prefix: str | None = None,
        run: Any = None,
        s3root: str | None = None,
        encryption: str | EllipsisType | None = ...,
        *,
        role: str | None = None,
        session_vars: Mapping[str, Any] | None = None,
        client_params: Mapping[str, Any] | None = None,
        external_client: Any = None,
        inject_failure_rate: int | None = None,
        kms_key_id: str | None = None,
        customer_key: bytes | str | None = None,
        storage_class: str | None = None,
        requester_pays: bool = False,
        expected_bucket_owner: str | None = None,
        endpoint_url: str | None = None,
        client: Client | None = None,
        **unknown: Any,
    ) -> None:
        if unknown:  # metaflow.S3 swallows them: what works there has to work here, but not in silence
            warnings.warn(f"S3 has no argument {', '.join(unknown)}: ignored", UserWarning, stacklevel=2)
        inject_failure_rate = failure_rate(inject_failure_rate)
        root = Root(root_of(run, bucket, prefix) if run else s3root or None)
        self._client = open_client(
            encryption=encryption,
            role=role,
            session_vars=session_vars,
            client_params=client_params,
            external_client=external_client,
            inject_failure_rate=inject_failure_rate,
            kms_key_id=kms_key_id,
            customer_key=customer_key,
            storage_class=storage_class,
            requester_pays=requester_pays,
            expected_bucket_owner=expected_bucket_owner,
            endpoint_url=endpoint_url,
            client=client,
        )
        self._files = ResultFiles(os.fspath(tmproot or metaflow_settings.temporary_directory()))
        self._context = Context(self._client, root, self._files)
        self._bucket, self._prefix = bucket, prefix
        self._s3_role, self._s3_session_vars, self._s3_client_params = role, session_vars, client_params
        self._s3_inject_failures = inject_failure_rate
        self._external_client = external_client

    # ---- what others read of metaflow.S3's inside ----

    @property
    def _s3root(self) -> str | None:
        return self._context.root.url

    @property
    def _tmproot(self) -> str:
        return self._files.tmproot

    @property
    def _tmpdir(self) -> str:
        return os.fspath(self._files.directory())

    @property
    def _encryption(self) -> str | None:
        return self._client.options.encryption

    @property
    def _s3_client(self) -> Any:
        """Metaflow's S3Client, with boto3's in its `client`."""
        if self._external_client is None:
            theirs = sys.modules["metaflow.plugins.datatools.s3.s3"]
            self._external_client = theirs.S3Client(self._s3_role, self._s3_session_vars, self._s3_client_params)
        return self._external_client

    # ---- shown and pickled ----

    def __reduce__(self) -> tuple[Any, ...]:
        at = self._context
        return _unpickle, (type(self), self._files.tmproot, at.root.url, self._client)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._context.root.url or '(no root)'} at {self._client.remote.endpoint}>"


def _unpickle(kind: type[F], tmproot: str, s3root: str | None, client: Client) -> F:
    return kind(tmproot, s3root=s3root, encryption=client.options.encryption, client=client)
