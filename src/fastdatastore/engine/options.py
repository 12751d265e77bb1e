"""What goes with every request of a client: who pays, whose the bucket is, how objects are encrypted and kept."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from fastdatastore.errors import ConfigurationError

if TYPE_CHECKING:
    from fastdatastore.auth.customer_key import CustomerKey
    from fastdatastore.engine.request import Pairs

_KMS = ("aws:kms", "aws:kms:dsse")
# Requests that see an object's bytes, or a checksum of them, and so need the key that they are encrypted with.
_WITH_KEY = {
    "CompleteMultipartUpload",
    "CopyObject",
    "CreateMultipartUpload",
    "GetObject",
    "HeadObject",
    "ListParts",
    "PutObject",
    "UploadPart",
    "UploadPartCopy",
}
_SOURCES = {"CopyObject", "UploadPartCopy"}


@dataclass(frozen=True)
class Options:
    """The options of a client; nothing is asked for by default. What a server makes of them is its own affair.

    Attributes:
        encryption: Of what is stored, with keys of the server's: "AES256", "aws:kms" or "aws:kms:dsse".
        kms_key_id: Which key of the key management service: an id, an ARN or an alias.
        customer_key: Of what is stored and of what is read, with a key of the caller's own (SSE-C).
        storage_class: Of what is stored, such as "STANDARD_IA".
        requester_pays: The caller agrees to pay for requests to other people's buckets.
        expected_bucket_owner: The account that buckets must belong to, that of a copy's source included.

    Raises:
        ConfigurationError: A value that no server could take, or two that exclude each other.
    """

    encryption: str | None = None
    kms_key_id: str | None = None
    customer_key: CustomerKey | None = None
    storage_class: str | None = None
    requester_pays: bool = False
    expected_bucket_owner: str | None = None

    def __post_init__(self) -> None:
        for name in ("encryption", "kms_key_id", "storage_class"):
            _check_word(name, getattr(self, name))
        if self.kms_key_id is not None and self.encryption not in _KMS:
            raise ConfigurationError(
                f'kms_key_id needs encryption="aws:kms" or "aws:kms:dsse", got encryption={self.encryption!r}'
            )
        if self.customer_key is not None and self.encryption is not None:
            raise ConfigurationError("give encryption (with keys of the server's) or customer_key (your own), not both")
        if not isinstance(self.requester_pays, bool):
            raise ConfigurationError(f"requester_pays must be True or False, got {self.requester_pays!r}")
        owner = self.expected_bucket_owner
        if owner is not None and not (isinstance(owner, str) and re.fullmatch(r"[0-9]{12}", owner)):
            raise ConfigurationError(f"expected_bucket_owner must be an account id of 12 digits, got {owner!r}")

    def check_transport(self, is_tls: bool) -> None:
        """Raises ConfigurationError where a customer's key would travel in the clear."""
        if self.customer_key is not None and not is_tls:
            raise ConfigurationError("a customer_key is sent with each request, so the endpoint must be https://")

    def headers(self, operation: str) -> Pairs:
        """What each request of this operation carries."""
        if operation == "ListBuckets":
            return ()
        with_key = self.customer_key is not None and operation in _WITH_KEY
        return (
            self._always
            + (self._of_source if operation in _SOURCES else ())
            + (self.customer_key.headers() if with_key and self.customer_key else ())
        )

    @cached_property
    def _always(self) -> Pairs:
        headers: Pairs = ()
        if self.requester_pays:
            headers += (("x-amz-request-payer", "requester"),)
        if self.expected_bucket_owner is not None:
            headers += (("x-amz-expected-bucket-owner", self.expected_bucket_owner),)
        return headers

    @cached_property
    def _of_source(self) -> Pairs:
        headers: Pairs = ()
        if self.customer_key is not None:
            headers += self.customer_key.headers("x-amz-copy-source-")
        if self.expected_bucket_owner is not None:
            headers += (("x-amz-source-expected-bucket-owner", self.expected_bucket_owner),)
        return headers

    def storing(self, encryption: str | None = None) -> Pairs:
        """What a request that makes an object carries besides.

        Args:
            encryption: Of this object, instead of the client's.
        """
        _check_word("encryption", encryption)
        headers: Pairs = ()
        if self.storage_class is not None:
            headers += (("x-amz-storage-class", self.storage_class),)
        chosen = encryption if encryption is not None else self.encryption
        if chosen is not None and self.customer_key is not None:
            raise ConfigurationError(
                f"encryption={chosen!r} is with keys of the server's; the client has a customer_key"
            )
        if chosen is not None:
            headers += (("x-amz-server-side-encryption", chosen),)
        if self.kms_key_id is not None and chosen in _KMS:
            headers += (("x-amz-server-side-encryption-aws-kms-key-id", self.kms_key_id),)
        return headers


def _check_word(name: str, value: object) -> None:
    if value is not None and not (isinstance(value, str) and value.isascii() and value.isprintable() and value):
        raise ConfigurationError(f"{name} must be a word of printable ASCII, got {value!r}")


NO_OPTIONS = Options()
