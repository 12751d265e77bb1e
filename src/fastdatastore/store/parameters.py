"""store.json: what a store was made with. The first object that is written, and never changed."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fastdatastore.errors import FormatError
from fastdatastore.store import canonical
from fastdatastore.store.chunking import FDS_1

if TYPE_CHECKING:
    from typing_extensions import Buffer

NAME = "store.json"
FORMAT = 1
# In every version of the format: canonical JSON of at most this size, an object with the member "format".
MAX_SIZE = 4096

_CHUNKING: canonical.Json = {
    "average": FDS_1.average,
    "gear": "fds-1",
    "maximum": FDS_1.maximum,
    "minimum": FDS_1.minimum,
}
_ID = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True)
class Parameters:
    """Of one store.

    Attributes:
        id: 32 hex digits by chance: two stores are the same store if it is the same.
    """

    id: str

    @classmethod
    def new(cls) -> Parameters:
        """Those of a store that is about to be made."""
        return cls(secrets.token_hex(16))


def encode(parameters: Parameters) -> bytes:
    """What store.json holds."""
    return canonical.encode({"chunking": _CHUNKING, "digest": "b3", "format": FORMAT, "id": parameters.id})


def decode(data: Buffer) -> Parameters:
    """What store.json says.

    Raises:
        FormatError: It is of another format than 1, or no store.json.
    """
    size = memoryview(data).nbytes
    if size > MAX_SIZE:
        raise FormatError(f"it has {size} bytes; the most is {MAX_SIZE}", place=NAME)
    try:
        stored = canonical.decode(bytes(data))
    except canonical.NotCanonical as error:
        raise FormatError(str(error), place=NAME) from None
    version = stored.get("format") if isinstance(stored, dict) else None
    if not isinstance(stored, dict) or type(version) is not int:
        raise FormatError('it is not an object with the integer "format"', place=NAME)
    if version != FORMAT:
        raise FormatError.unknown_version(version, FORMAT, place=NAME)
    store_id = stored.get("id")
    if not isinstance(store_id, str) or not _ID.fullmatch(store_id):
        raise FormatError('its "id" is not 32 lower-case hex digits', place=NAME)
    parameters = Parameters(store_id)
    if bytes(data) != encode(parameters):
        raise FormatError('its "chunking" or "digest" is not that of format 1, or it has other members', place=NAME)
    return parameters
