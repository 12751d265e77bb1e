"""The data plane without native code: the interface of the native module, over asyncio and aiobotocore.

It is for proxies, for systems without the native module, and for comparison; it costs several times the CPU.
CRCs, encoding and memory work without aiobotocore; a Plane needs it.
"""

from fastdatastore.engine.planes.portable.buffers import BufferPool, Region, to_bytes
from fastdatastore.engine.planes.portable.checksums import crc, crc_combine, crc_kernel
from fastdatastore.engine.planes.portable.constants import (
    CANCELLED,
    CONNECT_FAILED,
    CRC32,
    CRC32C,
    CRC64NVME,
    CUT,
    DISCONNECTED,
    DONE,
    NO_CRC,
    NO_MEMORY,
    PROTOCOL_ERROR,
    RESOLVE_FAILED,
    STALLED,
    TLS_FAILED,
)
from fastdatastore.engine.planes.portable.endpoint import Credentials, Endpoint, tls_library
from fastdatastore.engine.planes.portable.plane import Plane
from fastdatastore.engine.planes.portable.queue import Queue
from fastdatastore.engine.planes.portable.report import Report
from fastdatastore.engine.planes.portable.uri import uri_encode

__all__ = [
    "CANCELLED",
    "CONNECT_FAILED",
    "CRC32",
    "CRC32C",
    "CRC64NVME",
    "CUT",
    "DISCONNECTED",
    "DONE",
    "NO_CRC",
    "NO_MEMORY",
    "PROTOCOL_ERROR",
    "RESOLVE_FAILED",
    "STALLED",
    "TLS_FAILED",
    "BufferPool",
    "Credentials",
    "Endpoint",
    "Plane",
    "Queue",
    "Region",
    "Report",
    "crc",
    "crc_combine",
    "crc_kernel",
    "tls_library",
    "to_bytes",
    "uri_encode",
]
