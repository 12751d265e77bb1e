"""The store that a client talks to: where it is, who signs, and what has been learnt of it."""

from __future__ import annotations

import os
import time
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from fastdatastore import forks
from fastdatastore.auth.credentials import CredentialProvider, Credentials
from fastdatastore.auth.endpoint import Address, EndpointConfig
from fastdatastore.config import Settings
from fastdatastore.engine import endpoints, planes
from fastdatastore.engine.budget import RetryBudget
from fastdatastore.engine.concurrency import Concurrency
from fastdatastore.engine.endpoints import Learnt
from fastdatastore.engine.pacing import Pacer
from fastdatastore.engine.request import Pairs, Request, Terms
from fastdatastore.engine.throttle import Throttle
from fastdatastore.errors import ConfigurationError

if TYPE_CHECKING:
    from fastdatastore import _native

USER_AGENT = "fastdatastore"
# Seconds without a byte, at an endpoint that has never answered: most likely it is not an S3 server at all.
FIRST_PATIENCE = 8.0


class Remote:
    """Turns requests into signed orders for the data plane. Thread-safe.

    Attributes:
        plane: The module that makes the attempts.
        concurrency, pacer, retry_budget: What all calls of the client share.
        has_answered: There has been an HTTP reply, whatever it said.
        clock_offset: Seconds by which the server's clock is ahead of this machine's, as far as is known.
        limits: What the endpoint takes of an upload.
    """

    def __init__(self, endpoint: EndpointConfig, credentials: CredentialProvider, settings: Settings) -> None:
        self.endpoint = endpoint
        self.settings = settings
        address = endpoint.address("")
        self.is_tls = address.tls
        url = f"{'https' if address.tls else 'http'}://{address.host_header}"
        self.plane = planes.select(url)
        self._proxy = planes.proxy_variable(url)
        self.limits = endpoints.limits_of(address.host)
        self.has_answered = False
        self._first_patience = min(FIRST_PATIENCE, settings.stall_timeout)
        self._credentials = credentials
        self.clock_offset = 0
        self._regions: dict[str, str] = {}  # of buckets that live elsewhere
        self._pid = os.getpid()
        self._learn_anew()
        self._lock = forks.lock()
        self._hosts: dict[str, _native.Endpoint] = {}
        self._buckets: dict[str, tuple[_native.Endpoint, Address]] = {}
        self._terms: dict[str, tuple[Terms, _native.Credentials]] = {}  # by bucket, as last used
        self._learnt: dict[str, Learnt] = {}  # by bucket
        self._signers: dict[str, tuple[Credentials, _native.Credentials]] = {}  # by region

    def __repr__(self) -> str:
        words = {None: "unknown", True: "kept", False: "not kept"}
        checksums = ", ".join(f"{bucket}: {words[learnt.checksums]}" for bucket, learnt in list(self._learnt.items()))
        return f"<Remote {self.endpoint} | checksums {checksums or 'unknown'}>"

    def _learn_anew(self) -> None:
        settings = self.settings
        self.concurrency = Concurrency(
            settings.part_size,
            settings.target_gbps,
            settings.parts_in_flight,
            settings.requests_in_flight,
            max(2, settings.memory_ceiling // settings.part_size),
        )
        self.pacer = Pacer(settings.max_gbps, time.monotonic())
        self.retry_budget = RetryBudget()
        self._throttles: dict[str, Throttle] = {}

    def check_fork(self) -> None:
        """In a forked child: forgets the parent's requests in flight, which would be counted for ever."""
        if self._pid != os.getpid():
            self._learn_anew()
            self._pid = os.getpid()  # last: another thread of the child must not go on with what is the parent's

    def throttle(self, bucket: str) -> Throttle:
        """What is known of a bucket's request rate."""
        return self._throttles.get(bucket) or self._throttles.setdefault(bucket, Throttle())

    def learnt(self, bucket: str) -> Learnt:
        """What replies have shown of a bucket."""
        return self._learnt.get(bucket) or self._learnt.setdefault(bucket, Learnt())

    def snapshot(self) -> Credentials:
        """The credentials that requests are signed with now."""
        return self._credentials.snapshot()

    # Of many requests in flight each may be refused for the same reason. The first that is heard of changes what the
    # next ones are sent with; for all of them the question is whether that differs from what they were sent with.

    def renew(self, refused: Terms) -> bool:
        """After a server called credentials expired: whether there are newer ones."""
        rejected = refused.credentials
        return self.snapshot() != rejected or self._credentials.renew(rejected) != rejected

    def set_clock(self, date: str, refused: Terms) -> bool:
        """Learns from a server's Date how wrong this machine's clock is. False when that can't be the trouble."""
        try:
            offset = round(parsedate_to_datetime(date).timestamp() - time.time())
        except ValueError:
            return False
        if abs(offset - self.clock_offset) > 1:
            self.clock_offset = offset
        return abs(offset - refused.clock_offset) > 1

    def relocate(self, bucket: str, region: str, refused: Terms) -> bool:
        """From now on requests to `bucket` are signed for `region`, and on AWS sent there."""
        if region == refused.region:
            return False
        with self._lock:
            self._regions[bucket] = region
            self._buckets.pop(bucket, None)
        return True

    def order(self, request: Request, snapshot: Credentials, headers: Pairs = ()) -> _native.Order:
        """One attempt of `request` with `headers` besides its own, for Queue.submit; the request is its tag."""
        endpoint, address = self._buckets.get(request.bucket) or self._connect(request.bucket)
        prefix = address.prefix
        request.terms, signer = self._terms_of(request.bucket, snapshot, address)
        patience = request.patience or (0.0 if self.has_answered else self._first_patience)
        # Over plain HTTP a body that the server does not check by a CRC is protected by its signed hash.
        request.signed_payload = not self.is_tls and self.learnt(request.bucket).checksums is not True
        return (
            request,
            endpoint,
            signer,
            request.method,
            prefix + request.key if request.key else prefix.rstrip("/") or "/",
            request.query,
            (("user-agent", USER_AGENT), *headers, *request.headers),
            request.body,
            request.target,
            request.upload_crc,
            request.download_crc,
            request.signed_payload,
            request.pause_above,
            request.content_max,
            patience,
            self.clock_offset,
        )

    def _terms_of(self, bucket: str, snapshot: Credentials, address: Address) -> tuple[Terms, _native.Credentials]:
        known = self._terms.get(bucket)
        if known is not None:
            terms = known[0]
            same = terms.credentials is snapshot or terms.credentials == snapshot
            if same and terms.region == address.region and terms.clock_offset == self.clock_offset:
                return known
        terms = Terms(
            snapshot, address.region, self.clock_offset, self.is_tls, address.host_header, address.prefix, self._proxy
        )
        made = self._terms[bucket] = (terms, self._sign_with(snapshot, address.region))
        return made

    def _sign_with(self, snapshot: Credentials, region: str) -> _native.Credentials:
        known = self._signers.get(region)
        if known is None or known[0] != snapshot:
            known = (
                snapshot,
                self.plane.Credentials(snapshot.access_key, snapshot.secret_key, snapshot.session_token, region),
            )
            self._signers[region] = known
        return known[1]

    def address(self, bucket: str) -> Address:
        """Where `bucket` is reached, as far as is known by now."""
        return self.endpoint.address(bucket, self._regions.get(bucket))

    def _connect(self, bucket: str) -> tuple[_native.Endpoint, Address]:
        address = self.address(bucket)
        with self._lock:
            # One native endpoint a host: with path-style addressing all buckets share its connections.
            made = self._hosts.get(address.host)
            if made is None:
                try:
                    made = self.plane.Endpoint(
                        address.host,
                        address.host_header,
                        address.port,
                        address.tls,
                        self.endpoint.ca_file or None,
                        self.settings.connections,
                        self.settings.connect_timeout,
                        self.settings.stall_timeout,
                    )
                except OSError as error:
                    raise ConfigurationError(f"{error}; check AWS_CA_BUNDLE or ca_bundle") from None
                self._hosts[address.host] = made
            return self._buckets.setdefault(bucket, (made, address))
