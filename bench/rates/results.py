"""What a run found, as JSON: bench/README.md documents the fields."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from .measure import Sample, Window
from .workloads import Link

SCHEMA = 1


@dataclass
class Row:
    """One client in one setting, with one workload; `samples` in the order they were taken."""

    workload: str
    client: str
    options: dict[str, Any]
    samples: list[Sample] = field(default_factory=list)
    error: str = ""

    @property
    def gbps(self) -> float:
        """Median of the samples' means."""
        return statistics.median(sample.gbps for sample in self.samples)

    @property
    def core_seconds_per_gb(self) -> float:
        return statistics.median(sample.core_seconds_per_gb for sample in self.samples)

    @property
    def server_core_seconds_per_gb(self) -> float:
        return statistics.median(sample.server_core_seconds_per_gb for sample in self.samples)


@dataclass(frozen=True)
class Document:
    """A run."""

    environment: dict[str, Any]
    link: Link
    window: Window
    object_bytes: int
    rows: list[Row]


def save(path: Path, document: Document) -> None:
    """Writes the file anew; a reader never sees half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    data = {"schema": SCHEMA, **asdict(document)}
    rows = data.pop("rows")
    # A line for each row: the steps' rates would fill the screen with one number a line.
    text = json.dumps(data, indent=1).removesuffix("\n}") + ',\n "rows": [\n'
    text += ",\n".join(f"  {json.dumps(row)}" for row in rows) + "\n ]\n}\n"
    temporary = path.with_suffix(".part")
    temporary.write_text(text)
    temporary.replace(path)


def load(path: Path) -> Document:
    """Reads what `save` wrote.

    Raises:
        SystemExit: It is of another schema.
    """
    data = json.loads(path.read_text())
    if data.get("schema") != SCHEMA:
        raise SystemExit(f"{path} has schema {data.get('schema')}, this program reads {SCHEMA}")
    rows = [Row(**{**row, "samples": [Sample(**sample) for sample in row["samples"]]}) for row in data["rows"]]
    return Document(data["environment"], Link(**data["link"]), Window(**data["window"]), data["object_bytes"], rows)


def table(document: Document, workload: str) -> str:
    """One workload's clients, in the order in which they ran."""
    lines = [("client", "runs", "Gbit/s", "lowest", "of the link", "core-s/GB", "server core-s/GB")]
    failures = []
    for row in document.rows:
        if row.workload != workload:
            continue
        if row.error:
            failures.append(f"  {row.client}: failed: {row.error.splitlines()[-1][:160]}")
            continue
        lines.append(
            (
                row.client,
                str(len(row.samples)),
                f"{row.gbps:.2f}",
                f"{min(sample.gbps for sample in row.samples):.2f}",
                f"{row.gbps / document.link.gbps:.0%}",
                f"{row.core_seconds_per_gb:.2f}",
                f"{row.server_core_seconds_per_gb:.2f}",
            )
        )
    return "\n".join([f"{workload}: {document.link}", *_aligned(lines), *failures])


def _aligned(lines: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return [
        "  " + "  ".join([line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])]).rstrip() for line in lines
    ]
