"""`python -m bench.artifacts`: see bench/README.md."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from bench.peers import environments
from bench.peers.results import RESULTS, environment, machine_name
from fastdatastore.config import Settings

from . import results
from .catalogue import COMPRESSION, ENTRANTS, Entrant
from .objects import GIB, MIB, SMALL, Objects
from .report import table
from .results import Row, Scene
from .session import Plan, run

FULL = {"array": GIB, "frame": GIB, "arrays": GIB, SMALL: 1000}
QUICK = {"array": 16 * MIB, "frame": 8 * MIB, "arrays": 8 * MIB, SMALL: 20}
COMPRESSED = ("array", "counters")
"""What shrinks not at all, and what does."""


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench.artifacts", description="fastdatastore.ArtifactStore beside its rivals"
    )
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("setup", help="make the rivals' virtual environments, in the user's cache")
    measure = verbs.add_parser("run", help="measure, print tables, write JSON")
    measure.add_argument("--rivals", help="only these (their names or the start of them), comma-separated")
    measure.add_argument(
        "--objects", help=f"only these, comma-separated: {', '.join(dict.fromkeys((*FULL, *COMPRESSED)))}"
    )
    measure.add_argument("--servers", default="null", help="null, seaweedfs, … comma-separated (default: null)")
    measure.add_argument(
        "--compression", choices=("also", "only", "no"), default="also", help="its section (default: also)"
    )
    measure.add_argument("--links", default="1,10,25", help="Gbit/s of the links in it (default: 1,10,25)")
    measure.add_argument("--repeat", type=int, default=3, help="samples of each (default: 3)")
    measure.add_argument("--timeout", type=float, default=900, help="seconds for one measurement (default: 900)")
    measure.add_argument("--quick", action="store_true", help="small sizes: to see that it works, not how fast")
    measure.add_argument("--append", action="store_true", help="add to the JSON file what it does not have yet")
    measure.add_argument(
        "--out",
        type=Path,
        help="the JSON file (default: bench/results/artifacts-DATE-MACHINE.json; quick: in the cache)",
    )
    verbs.add_parser("table", help="print the tables of a JSON file").add_argument("file", type=Path)

    arguments = parser.parse_args(argv)
    if arguments.verb == "setup":
        return _set_up()
    if arguments.verb == "run":
        return _run(arguments)
    found, rows = results.load(arguments.file)
    for scene in dict.fromkeys(row.scene for row in rows):
        print(table(rows, scene, found["memory_ceiling"]), end="\n\n")
    return 0


def _set_up() -> int:
    failed = environments.set_up(dict.fromkeys(entrant.environment for entrant in ENTRANTS))
    for name, why in failed.items():
        print(f"{name} could not be set up: {why}", file=sys.stderr)
    print(f"environments are in {environments.cache()}")
    return 1 if failed else 0


def _run(arguments: argparse.Namespace) -> int:
    options = {name: value for name, value in vars(arguments).items() if name not in ("verb", "out")}
    made = {**environment(options), "memory_ceiling": Settings().memory_ceiling}
    name = f"artifacts-{time.strftime('%Y-%m-%d')}-{machine_name(made['cpu'])}.json"
    # The small sizes say nothing that should be kept.
    path = arguments.out or (environments.cache() / "artifacts-quick.json" if arguments.quick else RESULTS / name)
    rows: list[Row] = []
    if arguments.append and path.exists():
        made, rows = results.load(path)
    for plan in _plans(arguments):
        for scene in run(plan, rows):
            if sys.stderr.isatty():
                print("\033[K", end="", file=sys.stderr, flush=True)  # the line that told what was going on
            print(table(rows, scene, made["memory_ceiling"]), end="\n\n", flush=True)
            results.save(path, made, rows)  # after each: an interrupted run is not lost
    print(path)
    return 0


def _plans(arguments: argparse.Namespace) -> Iterator[Plan]:
    sizes: Mapping[str, int] = QUICK if arguments.quick else FULL
    kinds = dict.fromkeys((*sizes, *COMPRESSED))
    chosen = arguments.objects.split(",") if arguments.objects else kinds
    if unknown := [kind for kind in chosen if kind not in kinds]:
        raise SystemExit(f"there are no objects called {unknown[0]}; there are: {', '.join(kinds)}")
    if arguments.compression != "only":
        scenes = [
            Scene(server, Objects(kind, size))
            for server in arguments.servers.split(",")
            for kind, size in sizes.items()
            if kind in chosen
        ]
        yield Plan(scenes, _entrants(arguments.rivals), arguments.repeat, arguments.timeout)
    if arguments.compression != "no":
        size = sizes["array"] // 2
        scenes = [
            Scene("null", Objects(kind, size), float(gbps))
            for gbps in arguments.links.split(",")
            for kind in COMPRESSED
            if kind in chosen
        ]
        yield Plan(scenes, COMPRESSION, arguments.repeat, arguments.timeout)


def _entrants(wanted: str | None) -> list[Entrant]:
    chosen = [entrant for entrant in ENTRANTS if wanted is None or entrant.name.startswith(tuple(wanted.split(",")))]
    if not chosen:
        raise SystemExit(f"no rival is called {wanted}; there are: {'; '.join(entrant.name for entrant in ENTRANTS)}")
    ready = [entrant for entrant in chosen if environments.python(entrant.environment) is not None]
    for entrant in chosen:
        if entrant not in ready:
            print(f"{entrant.name} is left out until it is set up: python -m bench.artifacts setup", file=sys.stderr)
    return ready


if __name__ == "__main__":
    sys.exit(main())
