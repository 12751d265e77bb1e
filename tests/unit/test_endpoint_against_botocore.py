"""Hosts, paths and regions are those that botocore chooses for the same bucket and configuration."""

from __future__ import annotations

import itertools
import os
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import botocore.session
import pytest
from botocore.config import Config

from fastdatastore import S3
from fastdatastore.auth.access_points import split_bucket
from fastdatastore.auth.credentials import CredentialProvider, configured_endpoint
from fastdatastore.auth.endpoint import EndpointConfig, check_bucket
from fastdatastore.errors import ConfigurationError
from tests.support.clients import client_at

ARN = "arn:aws:s3:us-west-2:123456789012:accesspoint/my-point"
COLON_ARN = "arn:aws:s3:us-west-2:123456789012:accesspoint:my-point"
NAMES = {"us-west-2": ["bucket", "Dotted.bucket", "point-abc-s3alias", ARN, COLON_ARN], "eu-west-1": [ARN]}
NAMES["cn-north-1"] = ["bucket", "arn:aws-cn:s3:cn-north-1:123456789012:accesspoint/my-point"]

SESSION = botocore.session.Session(
    session_vars={
        "config_file": (None, None, os.devnull, None),
        "credentials_file": (None, None, os.devnull, None),
    }
)


def _theirs(bucket: str, region: str, endpoint: str | None, variant: dict[str, bool]) -> tuple[str, str, str]:
    """(host, path, region of the signature) by botocore; an endpoint's port is part of the host."""
    client: Any = SESSION.create_client(
        "s3",
        region_name=region,
        endpoint_url=endpoint,
        aws_access_key_id="id",
        aws_secret_access_key="secret",
        config=Config(
            signature_version="s3v4",
            use_dualstack_endpoint=variant["dualstack"],
            use_fips_endpoint=variant["fips"],
            s3={"use_accelerate_endpoint": variant["accelerate"], "us_east_1_regional_endpoint": "regional"},
        ),
    )
    url = urlsplit(client.generate_presigned_url("list_objects_v2", Params={"Bucket": bucket}))
    signed = client.generate_presigned_url("list_objects_v2", Params={"Bucket": bucket}).split("%2F")[2]
    return url.netloc, url.path, signed


def _ours(bucket: str, region: str, endpoint: str | None, variant: dict[str, bool]) -> tuple[str, str, str]:
    changes: Any = variant
    address = replace(EndpointConfig(endpoint or "", region), **changes).address(bucket)
    return address.host_header, address.prefix.rstrip("/"), address.region


VARIANTS = [
    dict(zip(("dualstack", "fips", "accelerate"), flags, strict=True))
    for flags in itertools.product((False, True), repeat=3)
]


@pytest.mark.parametrize(("region", "bucket"), [(region, name) for region in NAMES for name in NAMES[region]])
@pytest.mark.parametrize("variant", VARIANTS, ids=lambda v: "+".join(name for name in v if v[name]) or "plain")
def test_a_bucket_on_AWS_is_reached_where_botocore_reaches_it(
    region: str, bucket: str, variant: dict[str, bool]
) -> None:
    try:
        theirs = _theirs(bucket, region, None, variant)
    except Exception:  # botocore has many kinds of them for what cannot be
        if variant["accelerate"]:
            with pytest.raises(ConfigurationError):
                _ours(bucket, region, None, variant)
        return
    # Their global host of presigned URLs is a redirect away from the bucket's region.
    host, path, signed = theirs
    host = host.replace(".s3.amazonaws.com", f".s3.{region}.amazonaws.com").replace(
        "s3-fips.us-east-1", f"s3-fips.{region}"
    )
    ours = _ours(bucket, region, None, variant)
    assert (ours[0], ours[1].rstrip("/"), ours[2]) == (host, path.rstrip("/"), signed)


@pytest.mark.parametrize("bucket", ["bucket", ARN])
def test_an_endpoint_of_ones_own_keeps_its_name(bucket: str) -> None:
    off = VARIANTS[0]
    endpoint = "https://vpce.example:8443"
    ours, theirs = (of(bucket, "us-west-2", endpoint, off) for of in (_ours, _theirs))
    assert ours == (theirs[0], theirs[1].rstrip("/"), theirs[2])


@pytest.mark.parametrize(
    ("text", "bucket", "key"),
    [
        ("bucket/a/b", "bucket", "a/b"),
        ("bucket", "bucket", ""),
        (f"{ARN}/a/b", ARN, "a/b"),
        (ARN, ARN, ""),
        (f"{COLON_ARN}/a/b\n", COLON_ARN, "a/b\n"),
        (COLON_ARN, COLON_ARN, ""),
    ],
)
def test_an_ARN_in_a_URL_ends_where_the_key_begins(text: str, bucket: str, key: str) -> None:
    assert split_bucket(text) == (bucket, key)


@pytest.mark.parametrize(
    ("bucket", "says"),
    [
        ("arn:aws:s3::123456789012:accesspoint/mfzwi23gnjvgw.mrap", "multi-region"),
        ("arn:aws:s3:us-west-2:123456789012:bucket/x", "not the ARN of an S3 access point"),
        ("arn:aws:s3-outposts:us-west-2:123456789012:outpost", "not the ARN of an S3 access point"),
        ("arn:aws:s3:us-west-2:12:accesspoint/x", "not the ARN of an S3 access point"),
    ],
)
def test_what_cannot_be_reached_is_refused_in_a_sentence(tmp_path: Path, bucket: str, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        check_bucket(bucket)
    with pytest.raises(ConfigurationError, match=says):
        S3(str(tmp_path), s3root=f"s3://{bucket}", client=client_at("http://127.0.0.1:1"))


@pytest.mark.parametrize("bucket", ["data--usw2-az1--x-s3", "point--usw2-az1--xa-s3"])
def test_directory_buckets_are_refused_on_AWS_and_are_names_like_others_elsewhere(bucket: str) -> None:
    with pytest.raises(ConfigurationError, match="S3 Express"):
        EndpointConfig("", "us-west-2").address(bucket)
    assert EndpointConfig("http://127.0.0.1:1", "us-west-2").address(bucket).prefix == f"/{bucket}/"


def test_keys_of_an_access_point_are_relative_to_its_ARN(tmp_path: Path) -> None:
    s3 = S3(str(tmp_path), s3root=f"s3://{ARN}/run", client=client_at("http://127.0.0.1:1"))
    place = s3._context.root.place("a/b")
    assert (place.url, place.bucket, place.key) == (f"s3://{ARN}/run/a/b", ARN, "run/a/b")


def test_the_usual_files_and_variables_choose_the_hosts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def found() -> Any:
        at = configured_endpoint(CredentialProvider())
        return at.dualstack, at.fips, at.accelerate, at.addressing

    config = tmp_path / "config"
    config.write_text("[default]\nregion = eu-west-1\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    assert found() == (False, False, False, "auto")
    config.write_text(
        "[default]\nuse_fips_endpoint = false\ns3 =\n  use_accelerate_endpoint = true\n  addressing_style = virtual\n"
        "  use_dualstack_endpoint = true\n"
    )
    assert found() == (True, False, True, "virtual")
    monkeypatch.setenv("AWS_USE_FIPS_ENDPOINT", "true")
    config.write_text("[default]\n")
    monkeypatch.setenv("AWS_USE_DUALSTACK_ENDPOINT", "true")
    assert found() == (True, True, False, "auto")
