"""The engine's own interface: jobs over one remote. `S3`, the bench and the command line build on it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Generator, Iterable
from contextlib import aclosing
from io import BufferedIOBase, RawIOBase
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from fastdatastore.auth.credentials import CredentialProvider, configured_endpoint
from fastdatastore.auth.endpoint import EndpointConfig
from fastdatastore.config import MIB, Settings
from fastdatastore.engine import process
from fastdatastore.engine.driver import Driver
from fastdatastore.engine.files import FileSink
from fastdatastore.engine.get import GetJob
from fastdatastore.engine.job import Job
from fastdatastore.engine.options import NO_OPTIONS, Options
from fastdatastore.engine.put import Condition, PutJob, PutStreamJob
from fastdatastore.engine.ranges import ByteRange
from fastdatastore.engine.remote import Remote
from fastdatastore.engine.request import Pairs
from fastdatastore.engine.sinks import MemorySink, PlacesSink, Sink, SpillSink
from fastdatastore.engine.sources import FileObjectSource, FileSource, MemorySource, PiecesSource, Source
from fastdatastore.engine.streams import Streamable, stream_of

if TYPE_CHECKING:
    from typing_extensions import Buffer

# What a store keeps goes by one request each: a part of its own, so to say. The largest chunk has 16 MiB and a little.
BLOCK_MAX = 32 * MIB

J = TypeVar("J", bound=Job)


class Client:
    """Makes jobs and runs them. Thread-safe; pickles as configuration.

    Args:
        endpoint: Where requests go; None takes what the AWS variables and files say.
        credentials: Who signs; None takes botocore's chain.
        options: What goes with every request.
    """

    def __init__(
        self,
        endpoint: EndpointConfig | None = None,
        credentials: CredentialProvider | None = None,
        settings: Settings | None = None,
        options: Options = NO_OPTIONS,
    ) -> None:
        self.settings = settings or Settings()
        self._credentials = credentials or CredentialProvider()
        self._has_looked = False  # for credentials, off the event loop
        self.remote = Remote(endpoint or configured_endpoint(self._credentials), self._credentials, self.settings)
        self.options = options
        options.check_transport(self.remote.is_tls)

    def __reduce__(self) -> tuple[type[Client], tuple[Any, ...]]:
        return Client, (self.remote.endpoint, self._credentials, self.settings, self.options)

    def with_options(self, options: Options) -> Client:
        """A client of the same store that shares all that this one has learnt, with other options."""
        if options == self.options:
            return self
        options.check_transport(self.remote.is_tls)
        other = object.__new__(Client)
        vars(other).update(vars(self), options=options)
        return other

    def __repr__(self) -> str:
        return f"<Client {self.remote.endpoint}>"

    # ---- jobs ----

    def get(
        self,
        bucket: str,
        key: str,
        sink: Sink | None = None,
        byte_range: ByteRange | None = None,
        version_id: str = "",
    ) -> GetJob:
        """A download, into recycled memory unless a sink is given."""
        return GetJob(
            bucket,
            key,
            sink or MemorySink(process.buffer_pool(self.settings)),
            part_size=self.settings.part_size,
            slots=self.remote.concurrency.of(up=False, large=True),
            byte_range=byte_range,
            version_id=version_id,
        )

    def put(
        self,
        bucket: str,
        key: str,
        value: Buffer | Path | RawIOBase | BufferedIOBase,
        headers: Pairs = (),
        *,
        condition: Condition | None = None,
        resume: bool = False,
    ) -> PutJob:
        """An upload of a bytes-like object (not copied), a file's path, or a seekable file object."""
        return PutJob(
            self.remote,
            bucket,
            key,
            lambda: self._source(value),
            headers=headers,
            condition=condition,
            resume=resume,
        )

    def get_block(self, bucket: str, key: str, place: Callable[[int], tuple[Buffer, ...]]) -> GetJob:
        """A download into the buffers that `place` gives for its size; one request, for at most BLOCK_MAX bytes.

        Only its length is verified: it is for callers who know a digest of the bytes.
        """
        return GetJob(
            bucket,
            key,
            PlacesSink(place),
            part_size=max(self.settings.part_size, BLOCK_MAX),
            slots=self.remote.concurrency.of(up=False, large=True),
            checked=False,
        )

    def put_block(
        self, bucket: str, key: str, pieces: tuple[Buffer, ...], *, condition: Condition | None = None
    ) -> PutJob:
        """An upload of several buffers as one object, not copied; one request, for at most BLOCK_MAX bytes."""
        return PutJob(
            self.remote,
            bucket,
            key,
            lambda: PiecesSource(pieces),
            condition=condition,
            whole_up_to=BLOCK_MAX,
        )

    def put_stream(
        self, bucket: str, key: str, value: Streamable, headers: Pairs = (), *, condition: Condition | None = None
    ) -> PutStreamJob:
        """An upload of what can be read but once, to an end that is not known; read by the thread that runs the job."""
        return PutStreamJob(
            self.remote,
            bucket,
            key,
            lambda: stream_of(process.buffer_pool(self.settings), value),
            headers=headers,
            condition=condition,
        )

    def _source(self, value: Buffer | Path | RawIOBase | BufferedIOBase) -> Source:
        if isinstance(value, Path):
            return FileSource(process.buffer_pool(self.settings), value)
        if isinstance(value, (RawIOBase, BufferedIOBase)):
            return FileObjectSource(process.buffer_pool(self.settings), value)
        return MemorySource(value)

    def file_sink(self, path: Path, make_parents: bool = False) -> FileSink:
        """A download's destination: appears under `path` when it is whole and verified."""
        return FileSink(process.buffer_pool(self.settings), path, make_parents)

    def spill_sinks(self, make_path: Callable[[], Path]) -> Callable[[], SpillSink]:
        """Makes sinks below the process's memory ceiling; what is beyond it goes to a file named by `make_path`."""
        tickets = process.tickets(self.settings)
        return lambda: SpillSink(tickets, self.settings.memory_ceiling, make_path)

    # ---- running them ----

    def run(self, jobs: Iterable[J | None], on_turn: Callable[[int], None] | None = None) -> Generator[J, None, None]:
        """Yields jobs as they end, failed ones with their `error`; `jobs` may yield None. See Driver.run."""
        return cast("Generator[J, None, None]", Driver(self.remote, self.options, on_turn).run(jobs))

    async def arun(
        self, jobs: Iterable[J | None], on_turn: Callable[[int], None] | None = None
    ) -> AsyncGenerator[J, None]:
        """`run` for a coroutine; to be used in `contextlib.aclosing`. See Driver.arun.

        Raises:
            NoCredentials, ConfigurationError: Before anything is sent.
        """
        if not self._has_looked:
            import asyncio  # loads only for those who use it

            # The first look may read files, or ask services that take their time.
            await asyncio.to_thread(self.remote.snapshot)
            self._has_looked = True
        async with aclosing(Driver(self.remote, self.options, on_turn).arun(jobs)) as ended:
            async for job in ended:
                try:
                    yield cast(J, job)
                except Exception as error:
                    await ended.athrow(error)

    def run_one(self, job: J) -> J:
        """Runs one job.

        Raises:
            FastDatastoreError: Its error.
        """
        for ended in self.run([job]):
            if ended.error is not None:
                raise ended.error
        return job

    def run_all(self, jobs: Iterable[J]) -> list[J]:
        """Runs all jobs, in the order given; the first error stops the others.

        Raises:
            FastDatastoreError: The first error; what was on the way then has been cancelled and cleaned up.
        """
        listed = list(jobs)
        for ended in self.run(listed):
            if ended.error is not None:
                raise ended.error
        return listed
