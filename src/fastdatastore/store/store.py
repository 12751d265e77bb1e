"""ArtifactStore: keeps Python objects by the digest of what they are."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from datetime import timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Any, Unpack

from fastdatastore.store.cancel import NEVER
from fastdatastore.store.collection.report import GcReport
from fastdatastore.store.collection.timing import GRACE
from fastdatastore.store.compression import Setting
from fastdatastore.store.listing import ArtifactEntry
from fastdatastore.store.put.outline import Prepared
from fastdatastore.store.stat import ArtifactStat
from fastdatastore.store.tags import ANY, Expected
from fastdatastore.store.verify import Finding, Verified
from fastdatastore.store.work import Step, Work, check_prepared, check_refs, several

if TYPE_CHECKING:
    from fastdatastore.s3.connections import Connection


class ArtifactStore(Work):
    """Keeps Python objects, each under a ref, which is the digest of what it is: the same object is stored once.

        store = ArtifactStore("s3://bucket/prefix")  # or file:///data/store
        ref = store.put(frame)
        store.tag("latest", ref)
        frame = store.get(store.resolve("latest"))

    Every byte is compared with its digest before you see it. Thread-safe; pickles as configuration; in a forked child
    it works on. Nothing needs to be closed: `with` says where a store is used, and later calls are refused.

    WARNING: loading an artifact that was pickled runs code that whoever wrote it has chosen. Load from stores to which
    only people whom you trust can write, or with `allow_pickle=False`.

    Args:
        url: s3://bucket/prefix (or a whole bucket), or file:/// and the absolute path of a directory. The first put
            makes the store.
        compression: "auto" compresses where that makes a put faster or hardly slower; "none"; or a level of zstd,
            from -7 to 22, for all that shrinks.
        durable: Of a directory only: flush each object to the disk. Without it a power cut may cost the last seconds.
        connection: Of a bucket: endpoint_url, role, client_params, encryption, … as of fastdatastore.S3.

    Raises:
        ConfigurationError: The URL or an argument says what cannot be.

    All that is asked of a store may raise StoreNotFound (nothing was ever put there) but put, commit and put_many;
    FormatError, if it is of a version that this release does not know; and what a request may fail with, such as
    AccessDenied and ConnectError (fastdatastore.errors).
    """

    def __init__(
        self, url: str, *, compression: Setting = "auto", durable: bool = True, **connection: Unpack[Connection]
    ) -> None:
        super().__init__(url, compression=compression, durable=durable, **connection)

    def __enter__(self) -> ArtifactStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Refuses later calls; those that other threads have begun go on."""
        self._close()

    # ---- put and get ----

    def put(self, obj: object, *, rewrite: bool = False) -> str:
        """Stores an object and returns its ref, such as "b3:9f3c…".

        It is serialized, cut, digested, compressed and sent all at once; its memory is not copied, so it must not be
        changed before this returns. An error leaves no artifact, at most chunks that gc removes.

        What is there already is not sent again, unless it has less than 64 KiB, manifest included: to ask would cost as
        much as to write it anew, which takes permission to write, and its `created` and its age for gc begin again.

        Args:
            obj: Any object: arrays, tables, frames and bytes are kept as their memory is, all others are pickled
                (docs/serializers.md). Or what prepare() made.
            rewrite: Send all of it again, whatever is there: so what has been damaged or lost is mended.

        Raises:
            SerializationError: A part of it cannot be serialized; it names which. Or it was changed meanwhile, as far
                as that is noticed.
            LeaseExpired: It took more than an hour between a look at the store and its end: put it again.
        """
        return str(self._put([obj], False, rewrite, NEVER)[0])

    def put_many(self, objects: Iterable[object], *, return_errors: bool = False, rewrite: bool = False) -> list[Any]:
        """Stores several objects at once; returns their refs in the order given. See `put`.

        Args:
            objects: Drawn as there is room, so that a generator may make more than fits into memory. Each has memory of
                its own: an array that is filled again and again would change while it is stored.
            return_errors: Put the exceptions in the places of the refs; else the first one is raised, and what has not
                been stored by then is not.
            rewrite: As for `put`.
        """
        return self._put(several(objects, "put_many"), return_errors, rewrite, NEVER)

    def prepare(self, obj: object) -> Prepared:
        """Serializes and digests an object without asking the store for anything: its ref is known then.

        What is prepared holds the object's memory, which must not be changed; it can be committed to any store.

        Raises:
            SerializationError: A part of it cannot be serialized; it names which.
        """
        return self._prepare(obj, NEVER)

    def commit(self, prepared: Prepared) -> str:
        """Stores what was prepared and returns its ref. See `put`."""
        return str(self._put([check_prepared(prepared)], False, False, NEVER)[0])

    def get(self, ref: str, *, allow_pickle: bool = True, readonly: bool = False, max_bytes: int | None = None) -> Any:
        """Loads an object, as it was put: of the same type, equal, private, writable, and verified.

        WARNING: loading an artifact that was pickled runs code that whoever wrote it has chosen.

        Args:
            ref: As put() returned it.
            allow_pickle: False refuses artifacts that can run code when they are loaded, before they are fetched.
            readonly: Let nobody write to what comes back, where its type knows of that.
            max_bytes: The most that the object may take; None: what this machine or the cgroup has in memory.

        Raises:
            InvalidRef: It is no ref. ArtifactNotFound: There is no such artifact.
            CorruptArtifact: What is stored is damaged, cut short or missing; says which chunk. Nothing of it is
                returned; put() it again from its source with rewrite=True.
            FormatError: A newer release of fastdatastore has written it, or a serializer that is not here.
            UntrustedPickle: It was pickled, and `allow_pickle` is False.
            SerializationError, ConfigurationError: Code or a library that it needs is not here.
        """
        return self._get(check_refs([ref], "get"), allow_pickle, readonly, max_bytes, False, NEVER)[0]

    def get_many(
        self,
        refs: Iterable[str],
        *,
        allow_pickle: bool = True,
        readonly: bool = False,
        max_bytes: int | None = None,
        return_errors: bool = False,
    ) -> list[Any]:
        """Loads several objects at once, in the order of `refs`; one that comes twice is loaded twice. See `get`.

        Args:
            max_bytes: Of each of them.
            return_errors: Put the exceptions, such as CorruptArtifact, in the places of the objects; else the first one
                is raised.
        """
        return self._get(check_refs(refs, "get_many"), allow_pickle, readonly, max_bytes, return_errors, NEVER)

    def delete(self, ref: str, *, force: bool = False) -> None:
        """Deletes an artifact, of which there need be none. Its chunks, which others may share, are left to gc.

        Args:
            force: Also where a tag names it.

        Raises:
            ArtifactTagged: A tag names it; nothing was deleted.
        """
        self._delete(ref, force, NEVER)

    # ---- tags ----

    def tag(self, name: str, ref: str, *, expected: Expected = ANY) -> None:
        """Lets a tag name an artifact.

        Args:
            name: Such as "models/latest"; it must not begin with "b3:", as refs do.
            expected: Only if the tag now names this ref; None: only if there is no such tag; ANY: whatever it names.

        Raises:
            TagConflict: It does not name what was expected; somebody else was faster.
            ArtifactNotFound: There is no such artifact. InvalidKey: The name cannot be a tag's.
        """
        self._tag(name, ref, expected, NEVER)

    def resolve(self, name: str) -> str:
        """The ref that a tag names.

        Raises:
            TagNotFound: There is no such tag. InvalidKey: The name cannot be a tag's.
        """
        return self._resolve(name, NEVER)

    def delete_tag(self, name: str) -> None:
        """Deletes a tag, of which there need be none; what it names stays."""
        self._delete_tag(name, NEVER)

    def tags(self) -> dict[str, str]:
        """All tags with the refs that they name, by name."""
        return self._tags(NEVER)

    # ---- what is there ----

    def stat(self, ref: str) -> ArtifactStat:
        """What is known of an artifact without loading it: type, shape or schema, sizes, chunks, codecs, time.

        Raises:
            InvalidRef: It is no ref. ArtifactNotFound: There is no such artifact.
        """
        return self._stat(ref, NEVER)

    def list(self, *, details: bool = False) -> Generator[ArtifactEntry, None, None]:
        """All artifacts, in no certain order, drawn as they are asked for.

        Args:
            details: Size and type, too, for which each manifest is read.
        """
        self._check_open()
        return self._list(details, NEVER)

    def verify(
        self, refs: Iterable[str] | None = None, *, progress: Step | None = None
    ) -> Generator[Finding, None, Verified]:
        """Reads artifacts and compares all their bytes with the digests; yields what is damaged or missing.

        Args:
            refs: Of the artifacts; None: all that are there, and all tags.
            progress: Is told what is being done, at each step.

        Returns:
            At the generator's end (`yield from`): what was looked at.
        """
        self._check_open()
        return self._verify(None if refs is None else check_refs(refs, "verify"), progress, NEVER)

    def gc(
        self,
        *,
        grace: float | timedelta = GRACE,
        untagged: bool = False,
        older_than: float | timedelta | None = None,
        exclusive: bool = False,
        dry_run: bool = False,
        progress: Step | None = None,
    ) -> GcReport:
        """Collects garbage: chunks that no artifact has. Others may put, get, tag and delete meanwhile.

        It takes two runs: one publishes what is condemned, and a later one, when the grace period is over, deletes what
        is still not needed. So have it run now and then, say once a day.

        Args:
            grace: Seconds, at least two hours.
            untagged: Also artifacts that no tag names …
            older_than: … and that were stored so many seconds ago: a day by default, and at least.
            exclusive: You promise that nobody else writes to this store: condemns and deletes in one run, artifacts as
                young as `older_than` says.
            dry_run: Only say what would be deleted and condemned. In a directory that, too, takes permission to write:
                the file system's clock is read off an empty file, which is removed at once.
            progress: Is told what is being done, at each step.

        Raises:
            ConfigurationError: An argument is out of its bounds.
            FormatError, CorruptArtifact: A manifest or tag is damaged, so that nobody knows what is garbage; nothing
                was deleted. verify() lists all such.
        """
        return self._gc(grace, untagged, older_than, exclusive, dry_run, progress, NEVER)
