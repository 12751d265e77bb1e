"""What is asked of the server with each request: encryption, storage class, who pays, whose the bucket is."""

from __future__ import annotations

import base64
import pickle
import secrets
from pathlib import Path
from typing import Any

import pytest
from botocore.session import Session

from fastdatastore import S3
from fastdatastore.auth.customer_key import CustomerKey
from fastdatastore.config import MIB
from fastdatastore.engine.client import Client
from fastdatastore.engine.options import Options
from fastdatastore.errors import AccessDenied, ConfigurationError, S3Error
from fastdatastore.testing import servers
from fastdatastore.testing.servers import RunningServer
from tests.support.clients import client_at, client_of
from tests.support.scripted_server import Received, Reply, ScriptedServer

KEY = bytes(range(32))
IN_BASE64 = base64.b64encode(KEY).decode()
LARGE = bytes(17 * MIB)
OWNER = "123456789012"

# Refuse an SSE-C header that they do not understand, or take it and store in the clear.
WITHOUT_SSE_C = {"null": "knows no encryption", "moto": "checks no key"}


# ---- which headers go where ----

_MEMBERS = {
    "x-amz-request-payer": "RequestPayer",
    "x-amz-expected-bucket-owner": "ExpectedBucketOwner",
    "x-amz-source-expected-bucket-owner": "ExpectedSourceBucketOwner",
    "x-amz-server-side-encryption-customer-key": "SSECustomerKey",
    "x-amz-copy-source-server-side-encryption-customer-key": "CopySourceSSECustomerKey",
}
_OPERATIONS = (
    "AbortMultipartUpload",
    "CompleteMultipartUpload",
    "CopyObject",
    "CreateMultipartUpload",
    "DeleteObject",
    "DeleteObjects",
    "GetObject",
    "HeadObject",
    "ListBuckets",
    "ListMultipartUploads",
    "ListObjectsV2",
    "ListParts",
    "PutObject",
    "UploadPart",
    "UploadPartCopy",
)


@pytest.mark.parametrize("operation", _OPERATIONS)
def test_each_operation_carries_what_S3_defines_for_it(operation: str) -> None:
    options = Options(customer_key=CustomerKey(KEY), requester_pays=True, expected_bucket_owner=OWNER)
    carried = {_MEMBERS[name] for name, _ in options.headers(operation) if name in _MEMBERS}
    model = Session().get_service_model("s3").operation_model(operation)
    members = model.input_shape.members if model.input_shape else {}
    assert carried == set(members) & set(_MEMBERS.values())


def _stored(received: Received) -> Reply:
    match received.method, received.query:
        case "POST", {"uploads": _}:
            return Reply(body=b"<R><UploadId>u</UploadId></R>")
        case "POST", _:
            return Reply(body=b"<CompleteMultipartUploadResult><ETag>e</ETag></CompleteMultipartUploadResult>")
        case _:
            return Reply(headers={"etag": '"e"'})


def test_all_requests_of_a_large_upload_carry_their_options(tmp_path: Path) -> None:
    with ScriptedServer(_stored) as server:
        s3 = S3(
            str(tmp_path),
            s3root="s3://bucket",
            encryption="aws:kms",
            kms_key_id="alias/mine",
            storage_class="STANDARD_IA",
            requester_pays=True,
            expected_bucket_owner=OWNER,
            client=client_at(server.url),
        )
        s3.put("key", LARGE)
    assert {received.headers["x-amz-request-payer"] for received in server.requests} == {"requester"}
    assert {received.headers["x-amz-expected-bucket-owner"] for received in server.requests} == {OWNER}
    begun = [received for received in server.requests if "uploads" in received.query]
    for received in server.requests:
        makes = {name: received.headers.get(name) for name in ("x-amz-storage-class", "x-amz-server-side-encryption")}
        assert set(makes.values()) == ({"STANDARD_IA", "aws:kms"} if received in begun else {None})
    assert begun[0].headers["x-amz-server-side-encryption-aws-kms-key-id"] == "alias/mine"
    signed = begun[0].headers["authorization"]
    assert "x-amz-expected-bucket-owner" in signed
    assert "x-amz-server-side-encryption-aws-kms-key-id" in signed


# ---- arguments ----


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"kms_key_id": "key"}, 'needs encryption="aws:kms"'),
        ({"kms_key_id": "key", "encryption": "AES256"}, 'needs encryption="aws:kms"'),
        ({"encryption": ""}, "encryption must be"),
        ({"encryption": "aws:kms\r\nx-evil: 1"}, "encryption must be"),
        ({"storage_class": 7}, "storage_class must be"),
        ({"customer_key": b"short"}, "customer_key must be 32 bytes"),
        ({"customer_key": "no base64!"}, "customer_key must be 32 bytes"),
        ({"customer_key": KEY}, "must be https://"),
        ({"customer_key": KEY, "encryption": "AES256"}, "not both"),
        ({"expected_bucket_owner": "me"}, "12 digits"),
        ({"expected_bucket_owner": 123456789012}, "12 digits"),
        ({"requester_pays": "requester"}, "True or False"),
    ],
)
def test_an_option_that_makes_no_sense_is_refused(tmp_path: Path, arguments: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigurationError, match=says) as caught:
        S3(str(tmp_path), client=client_at("http://127.0.0.1:1"), **arguments)
    assert "short" not in str(caught.value)


def test_options_travel_with_a_pickle(tmp_path: Path) -> None:
    s3 = S3(str(tmp_path), storage_class="GLACIER_IR", client=client_at("http://127.0.0.1:1"))
    again = pickle.loads(pickle.dumps(s3))
    assert again._client.options == Options(storage_class="GLACIER_IR")


def test_clients_with_other_options_share_what_was_learnt(tmp_path: Path) -> None:
    client = client_at("http://127.0.0.1:1")
    assert S3(str(tmp_path), requester_pays=True, client=client)._client.remote is client.remote
    assert client.options == Options()


# ---- a key of the customer's ----


def test_a_customer_key_is_never_shown_or_pickled(tmp_path: Path) -> None:
    client = client_at("https://127.0.0.1:1", attempts=1)
    s3 = S3(str(tmp_path), s3root="s3://bucket", customer_key=KEY, client=client)
    with pytest.raises(S3Error) as caught:
        s3.get("key")
    options = s3._client.options
    shown = repr((s3, options, options.customer_key, caught.value, vars(caught.value))) + str(caught.value)
    shown += pickle.dumps(caught.value).decode("latin-1")
    assert IN_BASE64 not in shown
    assert "x00\\x01\\x02" not in shown
    for secret in (s3, s3._client, options, options.customer_key):
        with pytest.raises(TypeError, match="never pickled"):
            pickle.dumps(secret)


@pytest.fixture
def tls_client(s3_server_tls: RunningServer) -> Client:
    """An engine client that speaks https."""
    return client_of(s3_server_tls, part_size=5 * MIB)


@pytest.fixture
def tls_bucket(s3_server_tls: RunningServer) -> str:
    """A bucket that ends with its server."""
    name = f"test-{secrets.token_hex(8)}"
    s3_server_tls.create_bucket(name)
    return name


@pytest.mark.parametrize("content", [b"small", LARGE], ids=["small", "large"])
@pytest.mark.parametrize("given", [KEY, IN_BASE64], ids=["bytes", "base64"])
def test_what_is_encrypted_with_a_customer_key_is_read_with_it_only(
    s3_server_tls: RunningServer, tls_client: Client, tls_bucket: str, tmp_path: Path, content: bytes, given: Any
) -> None:
    if (why := WITHOUT_SSE_C.get(s3_server_tls.name)) is not None:
        pytest.skip(f"{s3_server_tls.name} {why}")
    root = f"s3://{tls_bucket}"
    with (
        S3(str(tmp_path), s3root=root, customer_key=given, client=tls_client) as s3,
        S3(str(tmp_path), s3root=root, client=tls_client) as keyless,
        S3(str(tmp_path), s3root=root, customer_key=bytes(32), client=tls_client) as other,
    ):
        s3.put("secret", content)
        assert s3.get("secret").blob == content
        assert s3.info("secret").size == len(content)
        for stranger in (keyless, other):
            with pytest.raises(S3Error):
                stranger.get("secret")
            with pytest.raises(S3Error):
                stranger.info("secret")


# ---- keys of a key management service ----


def test_objects_are_encrypted_with_the_KMS_key_that_is_named(tmp_path: Path) -> None:
    if (why := servers.why_unavailable("minio")) is not None:
        pytest.skip(why)
    # Of the servers here the one with a key management service of its own: https is what it demands for it.
    own_key = {"MINIO_KMS_SECRET_KEY": f"my-key:{IN_BASE64}"}
    with (
        servers.start("minio", tls=True, buckets=("bucket",), env=own_key) as server,
        S3(
            str(tmp_path), s3root="s3://bucket", encryption="aws:kms", kms_key_id="my-key", client=client_of(server)
        ) as s3,
    ):
        s3.put_many([("small", b"x"), ("large", LARGE)])
        s3.copy("large", "copy")
        for key, size in (("small", 1), ("large", len(LARGE)), ("copy", len(LARGE))):
            found = s3.info(key)
            assert (found.encryption, found.size) == ("aws:kms", size)
            assert len(s3.get(key).view or b"") == size
        with (
            S3(
                str(tmp_path), s3root="s3://bucket", encryption="aws:kms", kms_key_id="no-such-key", client=s3._client
            ) as wrong,
            pytest.raises(S3Error),
        ):
            wrong.put("key", b"x")


# ---- on real servers ----


def test_requester_pays_and_a_storage_class_are_taken(client: Client, bucket: str, tmp_path: Path) -> None:
    with S3(str(tmp_path), s3root=f"s3://{bucket}", requester_pays=True, storage_class="STANDARD", client=client) as s3:
        s3.put_many([("small", b"x"), ("large", LARGE)])
        assert [len(got.view or b"") for got in s3.get_many(["small", "large"])] == [1, len(LARGE)]
        assert len(s3.list_recursive()) == 2


def test_a_bucket_of_another_account_is_refused(tmp_path: Path) -> None:
    refused = b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"
    with ScriptedServer(lambda received: Reply(403, refused)) as server:
        s3 = S3(str(tmp_path), s3root="s3://bucket", expected_bucket_owner=OWNER, client=client_at(server.url))
        with pytest.raises(AccessDenied):
            s3.get("key")
    assert server.requests[0].headers["x-amz-expected-bucket-owner"] == OWNER
