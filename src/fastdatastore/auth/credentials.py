"""Credentials: immutable snapshots for signing, from botocore's chain (environment, profiles, SSO, IMDS, web identity,
container, process), renewed before they end."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from fastdatastore.auth.endpoint import EndpointConfig

if TYPE_CHECKING:
    from botocore.session import Session

    from fastdatastore.auth.chain import Chain
    from fastdatastore.auth.family import Grant


@dataclass(frozen=True)
class Credentials:
    """One snapshot. Its repr hides everything."""

    access_key: str = field(repr=False)
    secret_key: str = field(repr=False)
    session_token: str | None = field(repr=False, default=None)

    def __reduce__(self) -> tuple[Any, ...]:
        raise TypeError("credentials are never pickled; pickle the CredentialProvider, which finds them again")


class CredentialProvider:
    """Gives the current snapshot. Thread-safe; pickles as its configuration, never with secrets in it.

    Providers of the same profile in the same environment share one chain, in this process and in its forked children.

    Args:
        profile: A profile of the AWS files; None takes AWS_PROFILE or the default.
    """

    def __init__(self, profile: str | None = None) -> None:
        self._profile = profile
        self._known: Chain | None = None
        self._last: tuple[Grant, Credentials] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {"_profile": self._profile}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["_profile"])  # type: ignore[misc]

    def __repr__(self) -> str:
        return f"<CredentialProvider profile={self._profile!r}>"

    def snapshot(self) -> Credentials:
        """The credentials to sign with now.

        Raises:
            NoCredentials: The chain found none, or could not refresh them.
        """
        grant, last = self._chain.current(), self._last
        if last is None or last[0] is not grant:
            last = self._last = grant, snapshot_of(grant)
        return last[1]

    def renew(self, rejected: Credentials) -> Credentials:
        """A snapshot after a server called `rejected` expired: newer ones that somebody else has got meanwhile, or the
        whole chain is asked anew, so that files, caches and services are read again. It is `rejected` once more where
        there is nothing newer."""
        current = self._chain.current()
        if snapshot_of(current) != rejected:
            return snapshot_of(current)
        return snapshot_of(self._chain.renew(current))

    def _name(self) -> str:
        """Of the chain; providers with the same one share it."""
        return f"profile {self._profile}"

    def open_session(self) -> Session:
        """A new botocore session, with what the files and variables say."""
        from fastdatastore.auth.chain import open_session

        return open_session(self._profile)

    @property
    def _chain(self) -> Chain:
        if self._known is None:
            from fastdatastore.auth.chain import chain_of

            self._known = chain_of(self._name(), self.open_session)
        return self._known


def snapshot_of(grant: Grant) -> Credentials:
    """To sign with."""
    return Credentials(grant.access_key, grant.secret_key, grant.token or None)


class StaticCredentials(CredentialProvider):
    """Always the same ones: nothing is looked up or renewed. They do not pickle: that would write secrets down."""

    def __init__(self, credentials: Credentials) -> None:
        super().__init__()
        self._static = credentials

    def __reduce__(self) -> tuple[Any, ...]:
        raise TypeError("static credentials are not pickled; let the other process find its own")

    def snapshot(self) -> Credentials:
        return self._static

    def renew(self, rejected: Credentials) -> Credentials:
        return rejected


def configured_endpoint(provider: CredentialProvider) -> EndpointConfig:
    """The endpoint that the AWS variables and files name: AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL, AWS_REGION,
    AWS_DEFAULT_REGION, AWS_CA_BUNDLE, AWS_USE_DUALSTACK_ENDPOINT, AWS_USE_FIPS_ENDPOINT and their like in
    ~/.aws/config, there also s3 = use_accelerate_endpoint and addressing_style."""
    return provider._chain.endpoint()
