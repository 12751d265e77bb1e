"""Every error that fastdatastore raises: one flat tree, picklable, each saying what the reader can do."""

from __future__ import annotations

from typing import Any, Self

from fastdatastore import metaflow_errors


class FastDatastoreError(Exception):
    """Base of all. `str()` is one or two sentences that end with what to do.

    In a process that has loaded Metaflow each is Metaflow's own error too: see metaflow_errors.
    """

    def __new__(cls, *args: Any, **particulars: Any) -> Self:
        return super().__new__(metaflow_errors.also(cls), *args)

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (metaflow_errors.ours(type(self)), self.args), vars(self)


def _rebuild(cls: type[FastDatastoreError], args: tuple[Any, ...]) -> FastDatastoreError:
    """What was pickled; Metaflow's error too if Metaflow is loaded here. The state comes after it."""
    error = cls.__new__(cls, *args)
    error.args = args
    return error


class ConfigurationError(FastDatastoreError, ValueError):
    """An argument, environment variable or file says something that cannot be used."""


class InvalidKey(ConfigurationError):
    """A bucket name, key or URL that S3 cannot take, such as a key of more than 1,024 bytes."""


class InvalidObject(ConfigurationError):
    """What is to be stored is no str, no bytes-like object and no file object that can be read and sought."""


class InvalidRef(ConfigurationError):
    """A string that is no ref of an artifact."""


class InsufficientDiskSpace(FastDatastoreError, OSError):
    """The disk that results go to is full."""


class LocalFileError(FastDatastoreError, OSError):
    """A local file or directory could not be read or written."""


class LocalFileNotFound(LocalFileError, FileNotFoundError):
    """There is no local file of that name."""


class SourceChanged(FastDatastoreError):
    """A file grew, shrank or was replaced while it was being uploaded."""


class SerializationError(FastDatastoreError, TypeError):
    """A part of an object cannot be serialized, or the code that a pickled object needs is not here.

    Attributes:
        path: Where in the object, such as "['model'].callback"; "" for the object itself.
    """

    def __init__(self, reason: str, path: str = "") -> None:
        Exception.__init__(self, reason)  # not super(): that may be Metaflow's
        self.path = path


class UntrustedPickle(FastDatastoreError):
    """Loading the artifact could run code of its writer's choice, and that was not allowed."""


class S3Error(FastDatastoreError):
    """A request failed for good.

    Attributes:
        reason: What happened, without the particulars below.
        operation: S3's name of it, such as "GetObject".
        bucket, key: Of the object; "" where none is concerned.
        status: HTTP status; 0 when there was no answer.
        code: S3's error code, such as "NoSuchKey"; "" without one.
        request_id: The server's id of the last attempt; "" without one.
        attempts: How many requests were made.
        elapsed: Seconds from the first of them to this error.
        hint: What the reader can do.
    """

    hint = "try again; if it lasts, ask the operator of the store, giving the request id"

    def __init__(
        self,
        reason: str,
        *,
        operation: str = "",
        bucket: str = "",
        key: str = "",
        status: int = 0,
        code: str = "",
        request_id: str = "",
        attempts: int = 0,
        elapsed: float = 0.0,
        hint: str = "",
    ) -> None:
        Exception.__init__(self, reason)  # not super(): that may be Metaflow's
        self.reason = reason
        self.operation = operation
        self.bucket = bucket
        self.key = key
        self.status = status
        self.code = code
        self.request_id = request_id
        self.attempts = attempts
        self.elapsed = elapsed
        if hint:
            self.hint = hint

    def __str__(self) -> str:
        where = f"s3://{self.bucket}/{self.key}" if self.bucket else ""
        subject = " ".join(part for part in (self.operation, where) if part)
        facts = []
        if self.status:
            facts.append(f"HTTP {self.status}" + (f" {self.code}" if self.code else ""))
        if self.attempts:
            facts.append(f"{self.attempts} attempt{'s' if self.attempts > 1 else ''} in {self.elapsed:.1f} s")
        if self.request_id:
            facts.append(f"request id {self.request_id}")
        text = f"{subject}: {self.reason}" if subject else self.reason
        if facts:
            text += f" ({', '.join(facts)})"
        return f"{text}. What to do: {self.hint}."


class NotFound(S3Error):
    """There is no such key."""

    hint = "check the key, and that the object was written before"


class BucketNotFound(S3Error):
    """There is no such bucket."""

    hint = "check the bucket's name and the endpoint, or create the bucket"


class AccessDenied(S3Error):
    """The server refuses these credentials this operation."""

    hint = "check that these credentials may do this, and that they belong to this endpoint"


class BadCredentials(AccessDenied):
    """The access key is unknown, or the signature does not match the secret."""

    hint = (
        "check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (or the profile), the region, and that no proxy "
        "rewrites requests"
    )


class ExpiredCredentials(AccessDenied):
    """The session token has expired and refreshing did not help."""

    hint = "sign in again, or renew the token that AWS_SESSION_TOKEN or the credential process gives"


class NoCredentials(AccessDenied):
    """No credentials were found anywhere."""

    hint = (
        "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile, a web identity or an instance role; "
        "see the AWS documentation on the credential chain"
    )


class InvalidRange(S3Error):
    """The range lies outside of the object, or is no range."""

    hint = "ask for an offset below the object's size"


class Modified(S3Error):
    """The object was replaced while it was being read, or a condition of the request does not hold."""

    hint = "read it again"


class InvalidRequest(S3Error):
    """The server says that the request itself is wrong; trying again cannot help."""

    hint = "look at the server's message; if the request looks right, report this as a bug of fastdatastore"


class Throttled(S3Error):
    """The server went on asking to slow down (503, 429) until the attempts were used up."""

    hint = "lower the concurrency, spread the keys over more prefixes, or try later"


class ServerError(S3Error):
    """The server went on failing (5xx) until the attempts were used up."""


class DeleteFailed(S3Error):
    """Some of many objects could not be deleted; all others were.

    Attributes:
        failures: An error for each that is still there, with its `key`.
    """

    failures: tuple[S3Error, ...] = ()
    hint = "see why in `failures` of this error; all other objects were deleted"


class ConnectError(S3Error):
    """No connection: the name does not resolve, or nothing answers at the address."""

    hint = "check the endpoint (AWS_ENDPOINT_URL), its port and the network"


class ProxyError(S3Error, ConfigurationError):
    """The HTTP proxy that the environment names refuses to pass requests on."""

    hint = "check the user and password in HTTPS_PROXY or HTTP_PROXY, or name the endpoint's host in NO_PROXY"


class TlsError(S3Error):
    """The TLS handshake failed; above all, a certificate that does not verify."""

    hint = (
        "give the certificate authority's file in AWS_CA_BUNDLE, or check the endpoint: its name, its port, and that "
        "it speaks https:// at all"
    )


class ConnectionLost(S3Error):
    """Connections broke or stalled until the attempts were used up."""

    hint = "check the network path to the endpoint"


class ProtocolError(S3Error):
    """What answered does not speak HTTP/1.1, or breaks S3's rules."""

    hint = "check that the endpoint is an S3 server, and that http:// or https:// is right"


class IntegrityError(S3Error):
    """Bytes arrived that are not the ones that were stored or sent; they were thrown away."""

    hint = "try again; if it lasts, the object or the path to it is damaged"


class StoreNotFound(FastDatastoreError):
    """There is no artifact store at this place: nothing was ever put there."""


class FormatError(FastDatastoreError):
    """Stored bytes break the store's format (docs/format.md), or are of a version that this release cannot read.

    Attributes:
        reason: The rule that is broken, and what was found.
        place: The object, and where in it.
        hint: What the reader can do.
        is_newer: The bytes may be sound: what they are of came after this release, for all it can know.
    """

    hint = "check that this is a store of fastdatastore; if it is, the object is damaged: run verify"

    def __init__(self, reason: str, *, place: str, hint: str = "", is_newer: bool = False) -> None:
        Exception.__init__(self, reason)  # not super(): that may be Metaflow's
        self.reason = reason
        self.place = place
        self.is_newer = is_newer
        if hint:
            self.hint = hint

    @classmethod
    def unknown_version(cls, found: int, known: int, *, place: str) -> FormatError:
        """Of bytes whose version this release does not read."""
        return cls(
            f"it has format version {found}; this release reads version {known}",
            place=place,
            hint=f"read it with a release of fastdatastore that knows version {found}",
            is_newer=True,
        )

    @classmethod
    def newer(cls, reason: str, *, place: str) -> FormatError:
        """Of bytes that say something which no release up to this one writes."""
        return cls(reason, place=place, hint="read it with a newer release of fastdatastore", is_newer=True)

    def __str__(self) -> str:
        return f"{self.place}: {self.reason}. What to do: {self.hint}."


class ArtifactTooLarge(FastDatastoreError):
    """An artifact has more bytes than its reader is ready to take memory for; nothing of it was read."""


class CorruptArtifact(FastDatastoreError):
    """Stored bytes are missing, are cut short, or have not the digest by which they are named; none was returned.

    Attributes:
        reason: What differs.
        ref: The artifact.
        chunk: Digest of the damaged chunk; "" where it is the manifest.
    """

    hint = (
        "put it again from its source with rewrite=True (fds artifact put --rewrite), or restore the object from a "
        "backup; verify lists all such"
    )

    def __init__(self, reason: str, *, ref: str, chunk: str = "") -> None:
        Exception.__init__(self, reason)  # not super(): that may be Metaflow's
        self.reason = reason
        self.ref = ref
        self.chunk = chunk

    def __str__(self) -> str:
        part = f"chunk {self.chunk}" if self.chunk else "the manifest"
        return f"artifact {self.ref}: {part} is damaged: {self.reason}. What to do: {self.hint}."


class ArtifactNotFound(FastDatastoreError):
    """The store has no artifact of this ref: it was never put there, or it was deleted.

    Attributes:
        ref: Of the artifact.
    """

    def __init__(self, ref: str) -> None:
        Exception.__init__(self, f"there is no artifact {ref} in this store; check the ref, and the store's URL")
        self.ref = ref


class ArtifactTagged(FastDatastoreError):
    """An artifact is not deleted, because a tag names it.

    Attributes:
        ref: Of the artifact.
        tags: The tags.
    """

    def __init__(self, ref: str, tags: tuple[str, ...]) -> None:
        named = ", ".join(map(repr, tags))
        Exception.__init__(self, f"artifact {ref} has the tag {named}; delete that first, or delete by force")
        self.ref = ref
        self.tags = tags


class TagNotFound(FastDatastoreError):
    """There is no such tag.

    Attributes:
        name: Of the tag.
    """

    def __init__(self, name: str) -> None:
        Exception.__init__(self, f"there is no tag {name!r} in this store; check the name, and the store's URL")
        self.name = name


class TagConflict(FastDatastoreError):
    """A tag is not set, because it does not name what was expected, or its artifact is being deleted.

    Attributes:
        name: Of the tag.
    """

    def __init__(self, reason: str, name: str) -> None:
        Exception.__init__(self, f"the tag {name!r} is not set, because {reason}; resolve it and decide anew")
        self.name = name


class LeaseExpired(FastDatastoreError):
    """Garbage was collected while a write did not look; what it relies on may be gone. Write it again."""
