"""A certificate authority made for one server, and its certificate for 127.0.0.1 and localhost."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .errors import ServerUnavailable

__all__ = ["Certificate", "make_certificate"]


@dataclass(frozen=True)
class Certificate:
    """PEM files: the authority to trust, and the server's certificate (chain) and private key."""

    ca_file: Path
    cert_file: Path
    key_file: Path


def make_certificate(directory: Path) -> Certificate:
    """Writes a fresh authority and a certificate signed by it into the directory.

    Raises:
        ServerUnavailable: trustme is not installed.
    """
    try:
        import trustme
    except ImportError:
        raise ServerUnavailable(
            "TLS needs trustme, which is not installed; run: python -m pip install trustme"
        ) from None
    authority = trustme.CA()
    leaf = authority.issue_cert("127.0.0.1", "localhost")
    made = Certificate(directory / "ca.pem", directory / "server.pem", directory / "server.key")
    authority.cert_pem.write_to_path(str(made.ca_file))
    for blob in leaf.cert_chain_pems:
        blob.write_to_path(str(made.cert_file), append=True)
    made.key_file.touch(mode=0o600)
    leaf.private_key_pem.write_to_path(str(made.key_file))
    return made
