"""Endpoint and Credentials: immutable snapshots, shared by all requests that go there."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import final

from fastdatastore.engine.planes.proxies import proxy_for

# Where distributions keep the bundle, for a Python whose OpenSSL looks elsewhere.
_SYSTEM_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)


@final
class Endpoint:
    """Where to connect, and how: through a proxy, if the environment names one for this host."""

    def __init__(
        self,
        host: str,
        host_header: str,
        port: int,
        tls: bool,
        ca_file: str | None = None,
        connections: int = 16,
        connect_timeout: float = 5.0,
        stall_timeout: float = 30.0,
        idle_timeout: float = 4.0,
    ) -> None:
        if not 1 <= port <= 65535:
            raise ValueError(f"port must be 1 to 65535, got {port}")
        if not 1 <= connections <= 1024:
            raise ValueError(f"connections must be 1 to 1024, got {connections}")
        if not (connect_timeout > 0 and stall_timeout > 0 and idle_timeout >= 0):
            raise ValueError("timeouts must be positive seconds")
        name = f"[{host}]" if ":" in host else host
        self.url = f"http{'s' if tls else ''}://{name}:{port}"
        self.host_header = host_header
        self.connections = connections
        self.connect_timeout = connect_timeout
        self.stall_timeout = stall_timeout
        self.idle_timeout = idle_timeout
        self.tls_context = _tls_context(ca_file) if tls else None
        self.proxy = proxy_for(self.url)

    def __repr__(self) -> str:
        scheme = self.url.partition(":")[0]
        return f"<Endpoint {scheme}://{self.host_header}, {self.connections} connections a loop>"


@final
class Credentials:
    """Who signs: one immutable snapshot."""

    def __init__(
        self, access_key: str, secret_key: str, session_token: str | None, region: str, service: str = "s3"
    ) -> None:
        self.access_key = access_key
        self.secret_key = secret_key
        self.session_token = session_token
        self.region = region
        self.service = service

    def __repr__(self) -> str:
        return "<Credentials (hidden)>"

    def __reduce__(self) -> str:
        raise TypeError("credentials are not pickled")


def tls_library() -> str:
    """Name and version of the TLS library."""
    return ssl.OPENSSL_VERSION


def _tls_context(ca_file: str | None) -> ssl.SSLContext:
    """Verifies the certificate and the host's name, always."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if ca_file is None:
        context.load_default_certs()
        bundle = next((path for path in _SYSTEM_BUNDLES if Path(path).is_file()), None)
        if bundle is not None:
            context.load_verify_locations(bundle)
        return context
    try:
        if Path(ca_file).is_dir():
            context.load_verify_locations(capath=ca_file)
        else:
            context.load_verify_locations(ca_file)
    except OSError as error:
        reason = error.strerror or str(error)
        raise OSError(f"cannot load certificates from {ca_file}: {reason}") from None
    return context
