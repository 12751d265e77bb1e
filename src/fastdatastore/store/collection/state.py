"""The register: one small object that says how far the collection of garbage is, changed by compare-and-set only."""

from __future__ import annotations

import contextlib
import math
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from fastdatastore.errors import AccessDenied, FastDatastoreError, FormatError, Modified, NotFound
from fastdatastore.store import canonical, small
from fastdatastore.store.backends.base import Backend, Found
from fastdatastore.store.ref import is_digest

if TYPE_CHECKING:
    from typing_extensions import Buffer

NAME: Final = "gc/state.json"
FORMAT: Final = 1
MAX_SIZE: Final = 4096
MAX_SETTLING: Final = 32

_CHANGE = re.compile(r"[0-9a-f]{32}")
_MEMBERS = {"change", "format", "list", "number", "phase", "settling"}


class Phase(StrEnum):
    """IDLE: nothing is condemned. CONDEMNED: the names on the list are. SWEEPING: they are being deleted."""

    IDLE = "idle"
    CONDEMNED = "condemned"
    SWEEPING = "sweeping"


@dataclass(frozen=True)
class State:
    """What the register says.

    Attributes:
        phase: Of the collection.
        number: How many lists there have been: the last one's number.
        list: Id of the list in force; "" if the phase is idle.
        settling: Ids of earlier lists; a delete of a name on one may land until the register is SETTLED seconds old.
        change: 32 hex digits by chance, of this very change: no two states have the same bytes, so none has the same
            ETag as an earlier one.
    """

    phase: Phase = Phase.IDLE
    number: int = 0
    list: str = ""
    settling: tuple[str, ...] = ()
    change: str = ""

    def to(self, phase: Phase, list: str = "", *, settling: tuple[str, ...] = ()) -> State:
        """What follows: with the next number, if a list is published."""
        number = self.number + (phase is Phase.CONDEMNED)
        return State(phase, number, list, settling, secrets.token_hex(16))


@dataclass(frozen=True)
class Seen:
    """Attributes: state: As it was read. etag: By which it can be replaced; "" where there is no register yet."""

    state: State
    etag: str


def encode(state: State) -> bytes:
    """What the register holds."""
    return canonical.encode(
        {
            "change": state.change,
            "format": FORMAT,
            "list": state.list,
            "number": state.number,
            "phase": state.phase.value,
            "settling": state.settling,
        }
    )


def decode(data: Buffer) -> State:
    """What it says.

    Raises:
        FormatError: It is of another format than 1, or no register.
    """
    try:
        stored: Any = canonical.decode(bytes(data))
    except canonical.NotCanonical as error:
        raise FormatError(str(error), place=NAME) from None
    version = stored.get("format") if isinstance(stored, dict) else None
    if not isinstance(stored, dict) or type(version) is not int:
        raise FormatError('it is not an object with the integer "format"', place=NAME)
    if version != FORMAT:
        raise FormatError.unknown_version(version, FORMAT, place=NAME)
    if stored.keys() != _MEMBERS or not _are_of_their_kinds(**stored):
        raise FormatError("its members are not those of format 1, or not of their kinds", place=NAME)
    return State(Phase(stored["phase"]), stored["number"], stored["list"], tuple(stored["settling"]), stored["change"])


def _are_of_their_kinds(change: Any, format: Any, list: Any, number: Any, phase: Any, settling: Any) -> bool:
    return (
        isinstance(change, str)
        and _CHANGE.fullmatch(change) is not None
        and type(number) is int
        and number >= 0
        and phase in [*Phase]
        and isinstance(list, str)
        and (list == "" if phase == Phase.IDLE else is_digest(list))
        and isinstance(settling, Sequence)
        and len(settling) <= MAX_SETTLING
        and all(map(is_digest, settling))
    )


def read(backend: Backend) -> Seen:
    """What the register says now; that of a store without one is the first state.

    Raises:
        FormatError: As decode().
        AccessDenied: These credentials may not read it.
    """
    try:
        data, etag = small.read(backend, NAME, MAX_SIZE)
    except NotFound:
        return Seen(State(), "")
    except AccessDenied:
        # So S3 answers for what is not there to credentials that may not list.
        if (made := change(backend, Seen(State(), ""), State().to(Phase.IDLE))) is None:
            raise
        return made
    return Seen(decode(data), etag)


def change(backend: Backend, seen: Seen, state: State) -> Seen | None:
    """Replaces what was seen; None if somebody else came first.

    Raises:
        FastDatastoreError: It could not be asked whether it is replaced; it may be.
    """
    try:
        return Seen(state, small.write(backend, NAME, encode(state), over=seen.etag))
    except Modified:
        return None
    except FastDatastoreError:
        with contextlib.suppress(FastDatastoreError):
            now = read(backend)
            if now.state.change == state.change:
                return now
        raise


def age(backend: Backend) -> float:
    """Seconds since the register was last changed, by the server's clock.

    What was read before is as old or older. It can only be older if it has been replaced, and then it cannot be changed
    by whoever has read it.

    Raises:
        FormatError: The register is gone, or the server tells no times.
    """
    ((_, found),) = backend.found([NAME])
    if not isinstance(found, Found) or math.isinf(found.age):
        raise FormatError(
            "the server does not say how old it is", place=NAME, hint="try again; if it lasts, ask its operator"
        )
    return found.age


def renewed(state: State) -> State:
    """The same, as another change: its stamp starts anew."""
    return replace(state, change=secrets.token_hex(16))
