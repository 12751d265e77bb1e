"""What a run found, as JSON: bench/README.md documents the fields. And the medians of it."""

from __future__ import annotations

import json
import os
import platform
import statistics
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from .child import Sample
from .work import Work

SCHEMA = 1
RESULTS = Path(__file__).resolve().parents[1] / "results"


@dataclass(frozen=True)
class Scene:
    """Where the work is done. A table is of one scene and one work: only within it are numbers compared."""

    server: str
    tls: bool
    work: Work

    def __str__(self) -> str:
        return f"{self.work}, {self.server}, {'TLS' if self.tls else 'plain HTTP'}"


@dataclass
class Row:
    """One client in one setting, in one scene; `samples` in the order they were taken."""

    scene: Scene
    client: str
    setting: str
    samples: list[Sample] = field(default_factory=list)
    error: str = ""

    @property
    def core_seconds(self) -> float:
        """Median of user and system time."""
        return statistics.median(sample.user_seconds + sample.system_seconds for sample in self.samples)

    @property
    def seconds(self) -> float:
        return statistics.median(sample.seconds for sample in self.samples)

    @property
    def core_seconds_per_gb(self) -> float:
        """Per 10^9 bytes."""
        return self.core_seconds / (self.scene.work.total / 1e9)

    @property
    def core_ms_per_object(self) -> float:
        return self.core_seconds / self.scene.work.count * 1e3

    @property
    def gb_per_second(self) -> float:
        return self.scene.work.total / 1e9 / self.seconds

    @property
    def objects_per_second(self) -> float:
        return self.scene.work.count / self.seconds

    @property
    def server_core_seconds(self) -> float:
        """Median of the server's user and system time."""
        return statistics.median(sample.server_seconds for sample in self.samples)

    @property
    def server_core_seconds_per_gb(self) -> float:
        return self.server_core_seconds / (self.scene.work.total / 1e9)

    @property
    def peak_rss_bytes(self) -> int:
        return max(sample.peak_rss_bytes for sample in self.samples)

    def as_json(self) -> dict[str, Any]:
        summary: dict[str, Any] = {}
        if self.samples:
            summary = {
                "core_ms_per_object": self.core_ms_per_object,
                "objects_per_second": self.objects_per_second,
                "peak_rss_bytes": self.peak_rss_bytes,
                "version": self.samples[0].version,
            }
        if self.samples and self.scene.work.verb != "list":
            summary |= {
                "core_seconds_per_gb": self.core_seconds_per_gb,
                "gb_per_second": self.gb_per_second,
                "server_core_seconds_per_gb": self.server_core_seconds_per_gb,
            }
        return {
            "server": self.scene.server,
            "tls": self.scene.tls,
            "work": asdict(self.scene.work),
            "client": self.client,
            "setting": self.setting,
            "error": self.error,
            **summary,
            "samples": [asdict(sample) for sample in self.samples],
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Row:
        scene = Scene(data["server"], data["tls"], Work(**data["work"]))
        samples = [Sample(**sample) for sample in data["samples"]]
        return cls(scene, data["client"], data["setting"], samples, data["error"])


def cheapest(rows: Iterable[Row], scene: Scene) -> list[Row]:
    """Each client's row in this scene, the cheapest first.

    Of its settings the one with the most samples (a run goes on with the cheaper one only), of these that with the
    least CPU time; a client that failed in all settings comes last, with its error.
    """
    best: dict[str, Row] = {}
    for row in rows:
        if row.scene == scene and (row.samples or row.error):
            best[row.client] = min(best.get(row.client, row), row, key=_rank)
    return sorted(best.values(), key=lambda row: _rank(row)[1])


def _rank(row: Row) -> tuple[int, float]:
    return -len(row.samples), row.core_seconds if row.samples else float("inf")


def environment(options: dict[str, Any]) -> dict[str, Any]:
    """What the numbers depend on, beside the clients."""
    huge_pages = Path("/sys/kernel/mm/transparent_hugepage/enabled")
    return {
        "cpu": _cpu_model(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "kernel": f"{platform.system()} {platform.release().split('-')[0]}",
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "transparent_huge_pages": huge_pages.read_text().strip() if huge_pages.exists() else "",
        "python": platform.python_version(),
        "load_average_before": list(os.getloadavg()),
        "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "options": options,
    }


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "")


def machine_name(cpu: str) -> str:
    """For a file's name: of the kind of machine, not of this one."""
    words = "".join(c if c.isalnum() else " " for c in cpu.lower()).split()
    return "-".join([*words[:4], platform.machine()])


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
