"""The endpoint of a client: a URL, how buckets are addressed there, and how its certificate is verified."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from fastdatastore.auth.access_points import access_point
from fastdatastore.errors import ConfigurationError, InvalidKey

# Directory buckets and their access points: "Directory bucket naming rules", Amazon S3 user guide.
_EXPRESS = ("--x-s3", "--xa-s3")
_CHECK = "check endpoint_url or AWS_ENDPOINT_URL"
_DNS_BUCKET = re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")


@dataclass(frozen=True)
class Address:
    """Where one bucket is reached: connect to host:port, say `host_header`, put `prefix` before the key, sign for
    `region`."""

    host: str
    port: int
    tls: bool
    host_header: str
    prefix: str
    region: str


@dataclass(frozen=True)
class EndpointConfig:
    """Where a client's requests go.

    Attributes:
        url: "http://host:port" or "https://host"; "" is AWS S3 in `region`.
        region: For the signature, and for AWS's host names.
        ca_file: PEM file or directory that certificates are verified against; "" takes the system's.
        addressing: "path" (http://host/bucket/key), "virtual" (http://bucket.host/key) or "auto": virtual on AWS where
            the bucket's name fits a host name, else path.
        dualstack, fips, accelerate: On AWS: hosts that have IPv6 addresses too, whose TLS is certified by FIPS 140,
            that are reached by Amazon's edge network.
    """

    url: str
    region: str
    ca_file: str = ""
    addressing: str = "auto"
    dualstack: bool = False
    fips: bool = False
    accelerate: bool = False

    def __post_init__(self) -> None:
        if self.addressing not in ("auto", "path", "virtual"):
            raise ConfigurationError(f"addressing must be auto, path or virtual, got {self.addressing!r}")
        if self.ca_file and not Path(self.ca_file).exists():
            raise ConfigurationError(
                f"the certificate bundle {self.ca_file!r} does not exist; check AWS_CA_BUNDLE or ca_bundle"
            )
        if not self.url:
            return
        parts = urlsplit(self.url)
        if "@" in parts.netloc:  # not repeated here: there may be a password in it
            raise ConfigurationError("the endpoint must not hold a user name; give credentials in the AWS variables")
        try:
            port = parts.port
        except ValueError:
            port = -1
        if parts.scheme not in ("http", "https") or not parts.hostname or port == -1:
            raise ConfigurationError(
                f"the endpoint must be http://host[:port] or https://host[:port], got {self.url!r}; {_CHECK}"
            )
        if parts.path not in ("", "/") or parts.query or parts.fragment:
            raise ConfigurationError(f"the endpoint must be scheme, host and port only, got {self.url!r}; {_CHECK}")

    def address(self, bucket: str, region: str | None = None) -> Address:
        """Where `bucket` is reached ("": the service itself); on AWS in `region` if that is not the endpoint's own.

        Raises:
            ConfigurationError, InvalidKey: It cannot be reached, see `access_point`.
        """
        if not self.url and bucket.endswith(_EXPRESS):
            raise ConfigurationError(
                f"{bucket} is an S3 Express directory bucket, which wants sessions of its own that are not supported; "
                "take a general purpose bucket"
            )
        point = access_point(bucket)
        region = point.region if point else region or self.region
        label = f"{point.name}-{point.account}" if point else bucket
        if self.url:
            parts = urlsplit(self.url)
            host = parts.hostname or ""
            tls = parts.scheme == "https"
            port = parts.port or (443 if tls else 80)
            virtual = self.addressing == "virtual"
        else:
            host, tls, port = self._aws_host(bucket, region, point is not None), True, 443
            virtual = self.addressing != "path" and _DNS_BUCKET.fullmatch(bucket) is not None
            virtual = virtual or self.accelerate
        virtual = bool(bucket) and (virtual or point is not None)
        if virtual:
            host = f"{label}.{host}"
        name = f"[{host}]" if ":" in host else host
        header = name if port == (443 if tls else 80) else f"{name}:{port}"
        prefix = "/" if virtual or not bucket else f"/{bucket}/"
        return Address(host, port, tls, header, prefix, region)

    def _aws_host(self, bucket: str, region: str, is_point: bool) -> str:
        in_china = region.startswith("cn-")
        domain = "amazonaws.com.cn" if in_china else "amazonaws.com"
        dualstack = ".dualstack" if self.dualstack else ""
        if self.accelerate and bucket:
            if is_point or in_china or self.fips or self.addressing == "path" or not _DNS_BUCKET.fullmatch(bucket):
                raise ConfigurationError(f"{bucket} cannot be reached by use_accelerate_endpoint; switch that off")
            return f"s3-accelerate{dualstack}.{domain}"  # the service does not go by regions
        service = "s3-accesspoint" if is_point else "s3"
        return f"{service}{'-fips' if self.fips else ''}{dualstack}.{region}.{domain}"

    def __str__(self) -> str:
        return self.url or f"AWS S3 in {self.region}"


def check_bucket(bucket: str) -> None:
    """Raises InvalidKey or ConfigurationError for what no server could take; servers have stricter rules still."""
    if access_point(bucket):
        return
    if not bucket or len(bucket) > 255 or "/" in bucket or any(ord(c) <= 32 for c in bucket):
        raise InvalidKey(f"{bucket!r} is not a bucket name: 3 to 63 letters, digits, dots and hyphens")


def check_key(key: str) -> None:
    """Raises InvalidKey for what S3 does not take as a key: nothing, or over 1,024 bytes of UTF-8."""
    try:
        size = len(key.encode())
    except UnicodeEncodeError as error:
        raise InvalidKey(f"the key {key!r} is not valid Unicode: {error.reason}") from None
    if not 1 <= size <= 1024:
        raise InvalidKey(f"a key is 1 to 1,024 bytes of UTF-8, this one has {size:,}: {key[:60]!r}…")
