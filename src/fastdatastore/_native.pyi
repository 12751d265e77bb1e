"""The native data plane (native/module*.c)."""

from collections.abc import Sequence
from typing import Any, TypeAlias, final

from _typeshed import structseq
from typing_extensions import Buffer

CRC32: int
CRC32C: int
CRC64NVME: int
NO_CRC: int

DONE: int
CUT: int
CANCELLED: int
RESOLVE_FAILED: int
CONNECT_FAILED: int
TLS_FAILED: int
DISCONNECTED: int
STALLED: int
PROTOCOL_ERROR: int
NO_MEMORY: int

def crc(algorithm: int, data: Buffer, before: int = 0, /) -> int: ...
def crc_combine(algorithm: int, a: int, b: int, length_b: int, /) -> int: ...
def crc_kernel(algorithm: int, /) -> str: ...
def uri_encode(text: str, keep_slash: bool = False, /) -> str: ...
def tls_library() -> str: ...

@final
class Endpoint:
    def __new__(
        cls,
        host: str,
        host_header: str,
        port: int,
        tls: bool,
        ca_file: str | None = None,
        connections: int = 16,
        connect_timeout: float = 5.0,
        stall_timeout: float = 30.0,
        idle_timeout: float = 4.0,
    ) -> Endpoint: ...

@final
class Credentials:
    def __new__(
        cls, access_key: str, secret_key: str, session_token: str | None, region: str, service: str = "s3"
    ) -> Credentials: ...

@final
class Region(Buffer):
    def __len__(self) -> int: ...
    def __buffer__(self, flags: int, /) -> memoryview: ...

@final
class BufferPool:
    def __new__(cls, free_limit: int) -> BufferPool: ...
    def take(self, size: int, /) -> Region: ...
    def trim(self) -> None: ...
    def state(self) -> dict[str, int]: ...

@final
class Plane:
    def __new__(cls, loops: int) -> Plane: ...
    @property
    def in_flight(self) -> int: ...
    @property
    def closed(self) -> bool: ...
    def close(self) -> None: ...
    def before_fork(self) -> None: ...
    def after_fork_in_parent(self) -> None: ...
    def after_fork_in_child(self) -> None: ...

Pairs: TypeAlias = tuple[tuple[str, str], ...]
Buffers: TypeAlias = Buffer | tuple[Buffer, ...] | None

Order: TypeAlias = tuple[
    object,  # tag: comes back in the report
    Endpoint,
    Credentials | None,
    str,  # method
    str,  # path, not encoded
    Pairs,  # query, not encoded
    Pairs,  # headers
    Buffers,  # body
    Buffers,  # target of a 2xx body, writable
    int,  # CRC algorithm of the body sent, NO_CRC
    int,  # CRC algorithm of the body received, NO_CRC
    bool,  # sign the payload
    int,  # pause a 2xx body longer than this many bytes; 0: never
    int,  # most bytes of a body without a target
    float,  # stall timeout in seconds; 0.0: the endpoint's
    int,  # seconds to add to the clock when signing
]

# A struct sequence as those of os and time are; it has the fields of the portable plane's NamedTuple.
@final
class Report(
    structseq[Any],
    tuple[
        object, bool, int, int, dict[str, str], int | None, bytes, int, int, int, bool, float, float, float, str, str
    ],
):
    @property
    def tag(self) -> object: ...
    @property
    def paused(self) -> bool: ...
    @property
    def outcome(self) -> int: ...
    @property
    def status(self) -> int: ...
    @property
    def headers(self) -> dict[str, str]: ...
    @property
    def content_length(self) -> int | None: ...
    @property
    def content(self) -> bytes: ...
    @property
    def sent(self) -> int: ...
    @property
    def landed(self) -> int: ...
    @property
    def crc(self) -> int: ...
    @property
    def reused(self) -> bool: ...
    @property
    def waited(self) -> float: ...
    @property
    def first_byte(self) -> float: ...
    @property
    def took(self) -> float: ...
    @property
    def peer(self) -> str: ...
    @property
    def why(self) -> str: ...

@final
class Queue:
    def __new__(cls, plane: Plane) -> Queue: ...
    def submit(self, orders: Sequence[Order], /) -> None: ...
    def take(self, timeout: float = -1.0, most: int = 1024, /) -> list[Report]: ...
    def proceed(self, tag: object, target: Buffer, download_crc: int, /) -> None: ...
    def cancel(self, tag: object = ..., /) -> None: ...
    def progress(self) -> list[tuple[object, int]]: ...
    @property
    def moved(self) -> int: ...
    def fileno(self) -> int: ...
    def __len__(self) -> int: ...
