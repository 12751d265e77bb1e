"""The numbers that orders and reports speak in: the same as the native module's."""

from __future__ import annotations

CRC32 = 0
CRC32C = 1
CRC64NVME = 2
NO_CRC = -1

DONE = 0
"""A whole response, whatever its status."""
CUT = 1
"""The target was filled and the body went on; the connection was closed."""
CANCELLED = 2
RESOLVE_FAILED = 3
CONNECT_FAILED = 4
"""Refused, unreachable or timed out, at every address."""
TLS_FAILED = 5
DISCONNECTED = 6
"""The connection ended before the response did."""
STALLED = 7
"""No byte in either direction for the stall timeout."""
PROTOCOL_ERROR = 8
"""Not valid HTTP, or over a bound."""
NO_MEMORY = 9
