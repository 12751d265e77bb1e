"""What S3 and AsyncS3 have in common: how they are made, shown and pickled."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Mapping
from dataclasses import replace
from types import EllipsisType
from typing import Any, TypeVar

from fastdatastore.auth.customer_key import CustomerKey
from fastdatastore.engine.client import Client
from fastdatastore.engine.options import NO_OPTIONS
from fastdatastore.s3 import metaflow_settings
from fastdatastore.s3.connections import connect
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
        if inject_failure_rate is None:
            inject_failure_rate = int(os.environ.get("METAFLOW_S3_TEST_RETRYABLE_FAILURES", 0))
        root = Root(root_of(run, bucket, prefix) if run else s3root or None)
        given: dict[str, Any] = {
            "kms_key_id": kms_key_id,
            "customer_key": None if customer_key is None else CustomerKey(customer_key),
            "storage_class": storage_class,
            "requester_pays": requester_pays or None,
            "expected_bucket_owner": expected_bucket_owner,
        }
        given = {name: value for name, value in given.items() if value is not None}
        if client is None:
            client = connect(endpoint_url, role, session_vars, client_params, external_client, inject_failure_rate)
        if not isinstance(encryption, EllipsisType):
            given["encryption"] = encryption
        elif client.options == NO_OPTIONS and customer_key is None:
            given["encryption"] = metaflow_settings.encryption()
        self._client = client.with_options(replace(client.options, **given))
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
