"""Credentials: immutable snapshots for signing, from botocore's chain (environment, profiles, SSO, IMDS, web identity,
container, process), refreshed by it when they near their end."""

from __future__ import annotations

import os
import threading
import weakref
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from fastdatastore.auth.endpoint import EndpointConfig
from fastdatastore.errors import ConfigurationError, NoCredentials

if TYPE_CHECKING:
    from botocore.session import Session


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

    Args:
        profile: A profile of the AWS files; None takes AWS_PROFILE or the default.
    """

    def __init__(self, profile: str | None = None) -> None:
        self._profile = profile
        self._lock = threading.RLock()
        with _registry:
            _all.add(self)
        self._session: Session | None = None
        self._source: Any = None

    def __getstate__(self) -> dict[str, Any]:
        return {"_profile": self._profile}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["_profile"])  # type: ignore[misc]

    def __repr__(self) -> str:
        return f"<CredentialProvider profile={self._profile!r}>"

    def session(self) -> Session:
        """The botocore session, made once."""
        with self._lock:
            if self._session is None:
                self._session = self._new_session()
            return self._session

    def _new_session(self) -> Session:
        import botocore.exceptions
        import botocore.session

        session = botocore.session.Session(profile=self._profile)
        try:
            session.get_scoped_config()
        except botocore.exceptions.ProfileNotFound as error:
            raise ConfigurationError(f"{error}; check AWS_PROFILE and ~/.aws/config") from None
        return session

    def _look(self) -> Any:
        return self.session().get_credentials()

    def snapshot(self) -> Credentials:
        """The credentials to sign with now.

        Raises:
            NoCredentials: The chain found none, or could not refresh them.
        """
        import botocore.exceptions

        with self._lock:
            try:
                if self._source is None:
                    self._source = self._look()
                if self._source is None:
                    raise NoCredentials("no credentials were found")
                frozen = self._source.get_frozen_credentials()
            except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError) as error:
                raise NoCredentials(f"credentials could not be had: {error}") from error
        if not frozen.access_key or not frozen.secret_key:
            raise NoCredentials("the credentials that were found are incomplete")
        return Credentials(frozen.access_key, frozen.secret_key, frozen.token or None)

    def renew(self, rejected: Credentials) -> Credentials:
        """A snapshot after a server called `rejected` expired: the whole chain is asked anew, so that files, caches
        and services are read again. It is `rejected` once more where there is nothing newer."""
        with self._lock:
            self._session = self._source = None
        return self.snapshot()


_all: weakref.WeakSet[CredentialProvider] = weakref.WeakSet()
_registry = threading.Lock()
_held: list[CredentialProvider] = []


def _before_fork() -> None:
    # A look that is on its way is waited for: the child would inherit its lock, and nobody to open it.
    _registry.acquire()
    _held[:] = _all
    for provider in _held:
        provider._lock.acquire()


def _after_fork() -> None:
    while _held:
        _held.pop()._lock.release()
    _registry.release()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork)


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
    from botocore.configprovider import ConfiguredEndpointProvider

    session = provider.session()
    url = None
    if not session.get_config_variable("ignore_configured_endpoint_urls"):
        url = ConfiguredEndpointProvider(session.full_config, session.get_scoped_config(), "s3").provide()
    region = session.get_config_variable("region") or "us-east-1"
    s3 = session.get_config_variable("s3") or {}
    return EndpointConfig(
        url or "",
        region,
        session.get_config_variable("ca_bundle") or "",
        s3.get("addressing_style") or "auto",
        dualstack=_is_true(session.get_config_variable("use_dualstack_endpoint") or s3.get("use_dualstack_endpoint")),
        fips=_is_true(session.get_config_variable("use_fips_endpoint")),
        accelerate=_is_true(s3.get("use_accelerate_endpoint")),
    )


def _is_true(found: Any) -> bool:
    return found is True or str(found).lower() == "true"
