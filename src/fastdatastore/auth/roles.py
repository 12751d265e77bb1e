"""Credentials of a role: AssumeRole with those of the usual chain, renewed before they end."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from fastdatastore.auth.credentials import CredentialProvider

if TYPE_CHECKING:
    from botocore.session import Session


class AssumedRole(CredentialProvider):
    """Asks STS for the role's credentials, once for all who use the same role.

    Args:
        role_arn: Of the role.
        session_vars: Of the botocore session that has the role, as botocore defines them.
    """

    def __init__(self, role_arn: str, session_vars: Mapping[str, Any] | None = None) -> None:
        super().__init__()
        self._role_arn = role_arn
        self._session_vars = dict(session_vars or {})

    def __getstate__(self) -> dict[str, Any]:
        return {"role_arn": self._role_arn, "session_vars": self._session_vars}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]

    def __repr__(self) -> str:
        return f"<AssumedRole {self._role_arn}>"

    def _name(self) -> str:
        return f"role {self._role_arn} {sorted(self._session_vars.items())!r}"

    def open_session(self) -> Session:
        import botocore.session
        from botocore.credentials import AssumeRoleCredentialFetcher, DeferredRefreshableCredentials

        own = super().open_session()
        fetcher = AssumeRoleCredentialFetcher(
            client_creator=partial(own.create_client, region_name=own.get_config_variable("region") or "us-east-1"),
            source_credentials=own.get_credentials(),
            role_arn=self._role_arn,
            extra_args={},
        )
        session = botocore.session.Session(session_vars=self._session_vars or None)
        # botocore has no public way to give a session credentials that refresh themselves.
        session._credentials = DeferredRefreshableCredentials(  # type: ignore[attr-defined]
            method="assume-role", refresh_using=fetcher.fetch_credentials
        )
        return session
