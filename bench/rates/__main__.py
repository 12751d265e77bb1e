"""`python -m bench.rates`: see bench/README.md."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from bench.peers import environments
from bench.peers.child import MeasurementFailed
from bench.peers.results import RESULTS, environment, machine_name

from . import results
from .entrants import ENTRANTS, Entrant
from .measure import Window, measure
from .results import Document, Row
from .workloads import WORKLOADS, Link


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.rates", description="how much of a link is filled")
    verbs = parser.add_subparsers(dest="verb", required=True)
    run = verbs.add_parser("run", help="measure, print tables, write JSON")
    run.add_argument("--workloads", help=f"only these, comma-separated: {', '.join(WORKLOADS)}")
    run.add_argument(
        "--clients", help=f"only these, comma-separated: {', '.join(entrant.name for entrant in ENTRANTS)}"
    )
    run.add_argument("--repeat", type=int, default=3, help="runs of each client (default: 3)")
    run.add_argument("--seconds", type=float, default=20, help="of each run (default: 20)")
    run.add_argument("--settle", type=float, default=3, help="of these, how many do not count (default: 3)")
    run.add_argument("--object-mib", type=int, default=1024, help="size of the objects (default: 1024)")
    run.add_argument("--share", type=float, default=1.0, help="scales the link and each connection (default: 1)")
    run.add_argument("--out", type=Path, help="the JSON file (default: bench/results/rates-DATE-MACHINE.json)")
    verbs.add_parser("show", help="print the tables of a JSON file").add_argument("file", type=Path)

    arguments = parser.parse_args(argv)
    if arguments.verb == "run":
        return _run(arguments)
    document = results.load(arguments.file)
    for workload in dict.fromkeys(row.workload for row in document.rows):
        print(results.table(document, workload), end="\n\n")
    return 0


def _run(arguments: argparse.Namespace) -> int:
    chosen = arguments.workloads.split(",") if arguments.workloads else list(WORKLOADS)
    if unknown := [name for name in chosen if name not in WORKLOADS]:
        raise SystemExit(f"there is no workload called {unknown[0]}; there is: {', '.join(WORKLOADS)}")
    options = {name: value for name, value in vars(arguments).items() if name not in ("verb", "out")}
    document = Document(
        environment(options),
        Link().scaled(arguments.share),
        Window(arguments.settle, arguments.seconds),
        arguments.object_mib << 20,
        [],
    )
    name = f"rates-{time.strftime('%Y-%m-%d')}-{machine_name(document.environment['cpu'])}.json"
    path = arguments.out or RESULTS / name
    entrants = _entrants(arguments.clients)
    for workload in chosen:
        _measure(document, workload, entrants, arguments.repeat)
        print(results.table(document, workload), end="\n\n", flush=True)
        results.save(path, document)  # after each: an interrupted run is not lost
    print(path)
    return 0


def _entrants(wanted: str | None) -> list[Entrant]:
    names = [entrant.name for entrant in ENTRANTS]
    asked = wanted.split(",") if wanted else names
    if unknown := [name for name in asked if name not in names]:
        raise SystemExit(f"no client is called {unknown[0]}; there are: {', '.join(names)}")
    chosen = [entrant for entrant in ENTRANTS if entrant.name in asked]
    ready = [entrant for entrant in chosen if environments.python(entrant.client.environment) is not None]
    for entrant in chosen:
        if entrant not in ready:
            print(f"{entrant.name} is left out until it is set up: python -m bench.peers setup", file=sys.stderr)
    return ready


def _measure(document: Document, workload: str, entrants: Sequence[Entrant], repeat: int) -> None:
    """Adds the workload's rows; the clients alternate: A B C A B C …"""
    rows = [Row(workload, entrant.name, dict(entrant.setting.options)) for entrant in entrants]
    document.rows.extend(rows)
    for _ in range(repeat):
        for entrant, row in zip(entrants, rows, strict=True):
            if row.error:
                continue
            if sys.stderr.isatty():
                print(f"\r\033[K{workload}: {entrant.name}", end="\r", file=sys.stderr, flush=True)
            try:
                sample = measure(entrant, WORKLOADS[workload], document.link, document.object_bytes, document.window)
                row.samples.append(sample)
            except MeasurementFailed as error:
                row.error = str(error)
                row.samples.clear()
    if sys.stderr.isatty():
        print("\033[K", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
