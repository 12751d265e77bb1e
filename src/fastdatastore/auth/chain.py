"""botocore's credential chain, asked once: by one thread, for all clients of the process and for its forked children.

botocore itself has one fetch at a time for each session; but every client makes a session, and every forked worker goes
on with its own. An instance's metadata service refuses a hundred of them that start together.
"""

from __future__ import annotations

import hashlib
import logging
import math
import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastdatastore import forks
from fastdatastore.auth import family
from fastdatastore.auth.endpoint import EndpointConfig
from fastdatastore.auth.family import Grant
from fastdatastore.errors import ConfigurationError, FastDatastoreError, NoCredentials

if TYPE_CHECKING:
    from botocore.session import Session

# Newer credentials are looked for this long before the old ones end, or when a quarter of their time is left: at a
# moment of each process's own (jitter), in the background.
LEAD_SECONDS = 900.0
# A service that is down, or has nothing newer yet, is asked again so often.
AGAIN_SECONDS = 30.0
# Signed requests are on their way for a while: what ends sooner has ended.
MARGIN_SECONDS = 5.0
# botocore asks an instance's metadata service once and then goes without; under load that is a coin toss.
METADATA_ATTEMPTS = 3
# Different environments and profiles in one process are few; tests make many.
_CHAINS_MAX = 64

_log = logging.getLogger("fastdatastore")
_chains: dict[str, Chain] = {}


@dataclass(frozen=True)
class Held:
    """What is signed with, until when (time.time(); None: nobody knows), and when to look for newer ones."""

    grant: Grant
    expires: float | None
    due: float

    @property
    def has_expired(self) -> bool:
        return self.expires is not None and time.time() > self.expires - MARGIN_SECONDS


def chain_of(name: str, open_session: Callable[[], Session]) -> Chain:
    """The process's chain of this name, for what the environment and the AWS files say now.

    Args:
        open_session: Makes its botocore session, when it is the first.
    """
    identity = _identity(name)
    found = _chains.get(identity)
    if found is None:
        if len(_chains) >= _CHAINS_MAX:
            _chains.clear()  # their clients keep them
        found = _chains.setdefault(identity, Chain(open_session, identity))
    return found


class Chain:
    """The credentials and the endpoint of one profile in one environment. Thread-safe; goes on in a forked child.

    Args:
        open_session: Makes a botocore session that reads everything anew.
        identity: Names it to the other processes of the family.
    """

    def __init__(self, open_session: Callable[[], Session], identity: str) -> None:
        self._open_session = open_session
        self._identity = identity
        self._lock = forks.lock()
        self._session: Session | None = None
        self._source: Any = None
        self._pid = os.getpid()
        self._endpoint: EndpointConfig | None = None
        self._held: Held | None = None
        self._asked = 0  # how often; so that those who waited for an answer do not ask once more
        self._failure: FastDatastoreError | None = None  # of the last time

    def endpoint(self) -> EndpointConfig:
        """What the AWS variables and files name."""
        with self._lock:
            if self._endpoint is None:
                self._endpoint = _configured_endpoint(self._session_now())
            return self._endpoint

    def current(self) -> Grant:
        """What to sign with now.

        Raises:
            NoCredentials, ConfigurationError: There is nothing, or it has expired and cannot be renewed.
        """
        held = self._held
        if held is None or held.has_expired:
            return self._ask(None)
        if time.time() >= held.due and held.expires is not None:
            self._look_ahead(held)
        return held.grant

    def renew(self, rejected: Grant) -> Grant:
        """What to sign with after a server called `rejected` expired; it is `rejected` where there is nothing newer.

        Many requests are refused at once; the first of them asks, the others take what has come of it.
        """
        held = self._held
        if held is not None and held.grant != rejected and not held.has_expired:
            return held.grant
        return self._ask(rejected)

    def _ask(self, rejected: Grant | None) -> Grant:
        before = self._asked
        with self._lock:
            if self._asked == before:
                try:
                    self._held = self._find(rejected)
                    self._failure = None
                except FastDatastoreError as error:
                    self._failure = error
                finally:
                    self._asked += 1
            if self._failure is not None:
                raise type(self._failure)(*self._failure.args) from self._failure
            assert self._held is not None
            return self._held.grant

    def _look_ahead(self, held: Held) -> None:
        if not self._lock.acquire(blocking=False):  # somebody is at it
            return
        try:
            if self._held is not held:
                return
            self._held = replace(held, due=time.time() + random.uniform(0.5, 1.0) * AGAIN_SECONDS)
        finally:
            self._lock.release()

        def look() -> None:
            with self._lock:
                if self._held is None or self._held.grant != held.grant:
                    return
                try:
                    self._held = self._find(None)
                except FastDatastoreError as error:
                    _log.warning("credentials could not be renewed ahead of their end, trying again soon: %s", error)

        with suppress(RuntimeError):  # the interpreter is on its way out
            threading.Thread(target=look, name="fastdatastore-credentials", daemon=True).start()

    # ---- with the lock held ----

    def _find(self, rejected: Grant | None) -> Held:
        """From the family, if one of it has newer ones; else from botocore's chain."""
        old = rejected or (self._held.grant if self._held else None)
        with family.turn(self._identity) as shelf:
            shared = shelf.read()
            if shared is not None and shared != old and shared.expires > time.time() + MARGIN_SECONDS:
                return _held(shared, None if shared.expires == math.inf else shared.expires)
            if rejected is not None:
                self._session = self._source = None  # files, caches and services are read again
            grant, expires = self._from_botocore()
            shelf.write(grant)
        return _held(grant, expires)

    def _from_botocore(self) -> tuple[Grant, float | None]:
        session = self._session_now()
        try:
            with botocores_errors():
                if self._source is None:
                    self._source = session.get_credentials()
            return granted_by(self._source)
        except NoCredentials:
            self._source = None
            raise

    def _session_now(self) -> Session:
        if self._pid != os.getpid():
            # The parent's may be in the middle of a refresh, with a lock of botocore's that nobody will release here.
            self._pid = os.getpid()
            self._session = self._source = None
        if self._session is None:
            self._session = self._open_session()
        return self._session


def open_session(profile: str | None) -> Session:
    """A botocore session, its files read.

    Raises:
        ConfigurationError: They cannot be, or have no such profile.
    """
    import botocore.exceptions
    import botocore.session

    session = botocore.session.Session(profile=profile)
    try:
        session.get_scoped_config()
    except botocore.exceptions.ProfileNotFound as error:
        raise ConfigurationError(f"{error}; check AWS_PROFILE and ~/.aws/config") from None
    except botocore.exceptions.BotoCoreError as error:
        raise ConfigurationError(f"{error}; check ~/.aws/config and ~/.aws/credentials") from None
    if session.get_config_variable("metadata_service_num_attempts") == 1:  # botocore's default
        session.set_config_variable("metadata_service_num_attempts", METADATA_ATTEMPTS)
    return session


@contextmanager
def botocores_errors() -> Iterator[None]:
    """Makes NoCredentials of what botocore raises when there are none to be had."""
    import botocore.exceptions

    try:
        yield
    # An STS that refuses is a ClientError, a token file that is gone an OSError; of what has expired already,
    # by this machine's clock, botocore says RuntimeError.
    except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError, OSError, RuntimeError) as error:
        raise NoCredentials(f"credentials could not be had: {error}") from error


def granted_by(source: Any) -> tuple[Grant, float | None]:
    """What botocore's credentials are now, and when they end (time.time(); None: nobody knows).

    Raises:
        NoCredentials: There are none, or they could not be refreshed.
    """
    if source is None:
        raise NoCredentials("no credentials were found")
    with botocores_errors():
        frozen = source.get_frozen_credentials()
    if not frozen.access_key or not frozen.secret_key:
        raise NoCredentials("the credentials that were found are incomplete")
    expiry = getattr(source, "_expiry_time", None)
    expires = expiry.timestamp() if expiry is not None else None
    return Grant(frozen.access_key, frozen.secret_key, frozen.token or "", expires or math.inf), expires


def _held(grant: Grant, expires: float | None) -> Held:
    if expires is None:
        return Held(grant, None, 0.0)
    now = time.time()
    lead = random.uniform(0.75, 1.0) * min(LEAD_SECONDS, (expires - now) / 4)
    return Held(grant, expires, max(expires - lead, now + 1.0))


def _identity(name: str) -> str:
    """All that botocore's chain looks at first; a digest, because there may be secrets among it."""
    variables = sorted(item for item in os.environ.items() if item[0].startswith("AWS_"))
    files = [
        _state(os.environ.get("AWS_CONFIG_FILE", "~/.aws/config")),
        _state(os.environ.get("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials")),
    ]
    return hashlib.sha256(repr((name, variables, files)).encode()).hexdigest()


def _state(path: str) -> tuple[str, int, int]:
    full = Path(path).expanduser()
    try:
        stat = full.stat()
    except OSError:
        return str(full), 0, 0
    return str(full), stat.st_size, stat.st_mtime_ns


def _configured_endpoint(session: Session) -> EndpointConfig:
    from botocore.configprovider import ConfiguredEndpointProvider

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
