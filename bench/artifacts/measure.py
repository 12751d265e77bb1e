"""One run of one rival: what is put on a server, or got from it."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from bench.peers.child import MeasurementFailed, started, worker
from fastdatastore.testing.servers import RunningServer, null

from .catalogue import Entrant, Verb
from .objects import Objects

REPORT_MS = 20
"""How often the null server notes what it has moved."""


@dataclass(frozen=True)
class Sample:
    """What one run took; sizes in bytes, times in seconds, of the timed section only.

    Attributes:
        extra_bytes: The peak of the resident memory, beyond the object and what the process had before.
        object_bytes: In memory; of small dicts 0.
        moved_bytes: Of bodies that the server received or sent; None where it does not tell.
    """

    seconds: float
    user_seconds: float
    system_seconds: float
    extra_bytes: int
    object_bytes: int
    moved_bytes: int | None
    server_seconds: float
    version: str


def measure(
    entrant: Entrant,
    verb: Verb,
    objects: Objects,
    server: RunningServer,
    *,
    names: Sequence[str] = (),
    fresh: bool = False,
    timeout: float,
) -> tuple[Sample, list[str]]:
    """Runs it once; the sample, and what was put is found by.

    Args:
        names: What a get asks for.
        fresh: Recycled memory goes back to the system before the timed section.
        timeout: Seconds for everything.

    Raises:
        MeasurementFailed: It failed, or what comes back is not what was put.
    """
    deadline = time.monotonic() + timeout
    order = {
        "rival": entrant.rival,
        "options": dict(entrant.options),
        "objects": asdict(objects),
        "verb": verb,
        "names": list(names),
        "fresh": fresh,
    }
    argv = worker(entrant.environment, "bench.artifacts.worker")
    with started(argv, server, environment=entrant.environment, variables=entrant.variables) as child:
        child.say(json.dumps({**order, "directory": str(child.files)}))
        version = child.hear(deadline)["ready"]
        moved, busy = _moved(server, verb), server.cpu_seconds()
        child.say("go")
        result = child.hear(deadline)
        busy = server.cpu_seconds() - busy
        if moved is not None:
            moved = (_moved(server, verb) or 0) - moved
        # What was put first is compared by those who get it.
        child.say("done" if verb == "put" else "check")
        if verb != "put" and not child.hear(deadline)["same"]:
            raise MeasurementFailed("what came back is not what was put")
    return Sample(**result["sample"], moved_bytes=moved, server_seconds=busy, version=version), result["names"]


def _moved(server: RunningServer, verb: Verb) -> int | None:
    """Bytes of bodies so far, in the verb's direction."""
    if server.name != null.NAME:
        return None
    time.sleep(3 * REPORT_MS / 1000)  # until what was moved has been noted
    noted = null.traffic(server)
    if not noted:
        return 0
    return noted[-1].sent if verb == "get" else noted[-1].received
