"""Who takes part in what, and how large it is. Versions are pinned in bench/peers/requirements/."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from bench.peers.catalogue import HUGE_PAGES

Verb = Literal["put", "reput", "append", "get"]
VERBS: tuple[Verb, ...] = ("put", "reput", "append", "get")
"""In the order in which they are done with one object on one server."""

OURS = "fastdatastore"
STOCK = "Metaflow"
AUTO, NONE = f"{OURS}, compression auto", f"{OURS}, no compression"


@dataclass(frozen=True)
class Entrant:
    """A row of the tables.

    Attributes:
        name: What the row is called.
        rival: Module of bench.artifacts.rivals.
        environment: Name of its file in requirements/, and so of its virtual environment; "" is ours.
        options: Of its module.
        variables: Of the environment, beside the server's.
        kinds: Which objects it can keep; None: all.
        again: What else it does with the array, as it stores the same content once: put it again, or a longer one.
        recycles: Memory, so that it has another row where that went back to the system before a get.
    """

    name: str
    rival: str
    environment: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)
    kinds: tuple[str, ...] | None = None
    again: tuple[Verb, ...] = ()
    recycles: bool = False

    def does(self, kind: str, verb: Verb) -> bool:
        """Whether it takes part."""
        if verb in ("reput", "append"):
            return verb in self.again and kind == "array"
        return self.kinds is None or kind in self.kinds


_PICKLE, _JOBLIB = {"module": "pickle"}, {"module": "joblib"}

ENTRANTS = (
    Entrant(OURS, "fastdatastore_store", again=("reput", "append"), recycles=True),
    Entrant(STOCK, "metaflow_store", "artifacts", again=("reput",)),
    Entrant("pickle and boto3", "boto3_store", "artifacts", _PICKLE),
    Entrant("pickle and boto3, huge pages", "boto3_store", "artifacts", _PICKLE, HUGE_PAGES, ("array",)),
    Entrant("joblib and boto3", "boto3_store", "artifacts", _JOBLIB),
    Entrant("parquet over s3fs", "parquet_store", "artifacts-s3fs", kinds=("array", "frame")),
    Entrant("in DVC's way", "dvc_style", "artifacts-s3fs", again=("reput",)),
)
COMPRESSION = (
    Entrant(AUTO, "fastdatastore_store", options={"compression": "auto"}),
    Entrant(NONE, "fastdatastore_store", options={"compression": "none"}),
)
