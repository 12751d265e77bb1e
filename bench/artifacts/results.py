"""What a run found, as JSON: bench/README.md documents the fields. And the medians of it."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from .catalogue import Verb
from .measure import Sample
from .objects import SMALL, Objects

SCHEMA = 1


@dataclass(frozen=True)
class Scene:
    """Where something is kept, and what. Only within one are numbers compared.

    Attributes:
        link_gbps: Of all connections to the null server together, in each direction; 0: as fast as it can.
    """

    server: str
    objects: Objects
    link_gbps: float = 0.0

    def __str__(self) -> str:
        objects = self.objects
        what = (
            f"{objects.size:,} small dicts" if objects.kind == SMALL else f"{objects.kind} of {objects.size >> 20} MiB"
        )
        return f"{what}, {self.server}" + (f" at {self.link_gbps:g} Gbit/s" if self.link_gbps else "")


@dataclass
class Row:
    """One entrant's way to do one thing in one scene; `samples` in the order they were taken."""

    scene: Scene
    verb: Verb
    entrant: str
    samples: list[Sample] = field(default_factory=list)
    error: str = ""

    @property
    def seconds(self) -> float:
        """Medians, this one and those that follow."""
        return self._median(lambda sample: sample.seconds)

    @property
    def core_seconds(self) -> float:
        return self._median(lambda sample: sample.user_seconds + sample.system_seconds)

    @property
    def server_core_seconds(self) -> float:
        return self._median(lambda sample: sample.server_seconds)

    @property
    def gigabytes(self) -> float:
        """Of the object, 10^9 bytes; of small dicts 0."""
        return self._median(lambda sample: sample.object_bytes) / 1e9

    @property
    def core_seconds_per_gb(self) -> float:
        return self.core_seconds / self.gigabytes

    @property
    def extra_bytes(self) -> int:
        """The largest of all samples."""
        return max(sample.extra_bytes for sample in self.samples)

    @property
    def moved_bytes(self) -> int | None:
        """The most of all samples; None where the server does not tell."""
        return max((sample.moved_bytes for sample in self.samples if sample.moved_bytes is not None), default=None)

    def _median(self, of: Callable[[Sample], float]) -> float:
        return statistics.median(map(of, self.samples))

    def as_json(self) -> dict[str, Any]:
        summary: dict[str, Any] = {}
        if self.samples:
            summary = {"seconds": self.seconds, "core_seconds": self.core_seconds, "extra_bytes": self.extra_bytes}
            if self.gigabytes:
                summary["core_seconds_per_gb"] = self.core_seconds_per_gb
        return {
            **asdict(self.scene),
            "verb": self.verb,
            "entrant": self.entrant,
            "error": self.error,
            **summary,
            "samples": [asdict(sample) for sample in self.samples],
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Row:
        scene = Scene(data["server"], Objects(**data["objects"]), data["link_gbps"])
        samples = [Sample(**sample) for sample in data["samples"]]
        return cls(scene, data["verb"], data["entrant"], samples, data["error"])


def save(path: Path, environment: dict[str, Any], rows: Sequence[Row]) -> None:
    """Writes the file anew; a reader never sees half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    document = {"schema": SCHEMA, "environment": environment, "rows": [row.as_json() for row in rows]}
    temporary = path.with_suffix(".part")
    temporary.write_text(json.dumps(document, indent=1) + "\n")
    temporary.replace(path)


def load(path: Path) -> tuple[dict[str, Any], list[Row]]:
    """The environment and the rows.

    Raises:
        SystemExit: It is of another schema.
    """
    document = json.loads(path.read_text())
    if document.get("schema") != SCHEMA:
        raise SystemExit(f"{path} has schema {document.get('schema')}, this program reads {SCHEMA}")
    return document["environment"], [Row.from_json(row) for row in document["rows"]]
