"""A benchmark's result as JSON (schema 1)."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fastdatastore.bench.measure import percentile
from fastdatastore.bench.runner import Outcome

SCHEMA = 1
CLIENT = "fastdatastore"


def make_document(environment: dict[str, Any], outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """The whole document."""
    return {"schema": SCHEMA, "environment": environment, "results": [_result(outcome) for outcome in outcomes]}


def _result(outcome: Outcome) -> dict[str, Any]:
    run = outcome.run
    latencies = {f"p{rank}": percentile(run.latencies, rank / 100) for rank in (50, 90, 99)}
    latencies["max"] = max(run.latencies)
    server = run.server_core_s_per_gb
    return {
        "name": outcome.name,
        "client": CLIENT,
        "bytes": run.bytes,
        "ops": run.ops,
        "seconds": round(run.seconds, 6),
        "gbit_per_s": round(run.gbit_per_s, 4),
        "core_s_per_gb": round(run.core_s_per_gb, 4),
        "ops_per_s": round(run.ops_per_s, 2),
        "latency_ms": {name: round(value * 1e3, 3) for name, value in latencies.items()},
        "retries": run.retries,
        "errors": outcome.errors,
        "verified_by": verified_by(outcome),
        "peak_rss_bytes": run.peak_rss_bytes,
        "server_core_s_per_gb": None if server is None else round(server, 4),
        "repetitions": outcome.repetitions,
    }


def verified_by(outcome: Outcome) -> str:
    """One word; several ways in one run are joined by "+"."""
    return "+".join(sorted(outcome.run.verified_by))


def write_document(path: Path, document: dict[str, Any]) -> None:
    """Writes it so that the file is the old one or the new one, never a part.

    Raises:
        OSError: It cannot be written; nothing is left behind.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        temporary.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
