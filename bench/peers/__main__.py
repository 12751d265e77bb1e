"""`python -m bench.peers`: see bench/README.md."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from . import environments, plot, results
from .catalogue import CLIENTS, Client
from .limit import BuildFailed, program
from .report import table
from .session import Plan, run
from .work import FULL, QUICK


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.peers", description="fastdatastore beside its rivals")
    verbs = parser.add_subparsers(dest="verb", required=True)

    setup = verbs.add_parser("setup", help="make the rivals' virtual environments, in the user's cache")
    setup.add_argument("--clients", help="only these, comma-separated")

    measure = verbs.add_parser("run", help="measure, print tables, write JSON")
    measure.add_argument("--clients", help="only these (their names or the start of them), comma-separated")
    measure.add_argument("--work", help=f"only these, comma-separated: {', '.join(FULL)}")
    measure.add_argument("--servers", default="null", help="null, seaweedfs, … comma-separated (default: null)")
    measure.add_argument("--transport", choices=("plain", "tls", "both"), default="both")
    measure.add_argument("--repeat", type=int, default=5, help="samples of each client (default: 5)")
    measure.add_argument("--warm-passes", type=int, default=1, help="untimed passes before the timed one (default: 1)")
    measure.add_argument("--timeout", type=float, default=180, help="seconds for one measurement (default: 180)")
    measure.add_argument("--both-settings", action="store_true", help="repeat all settings, not just the cheaper")
    measure.add_argument("--quick", action="store_true", help="small sizes: to see that it works, not how fast")
    measure.add_argument("--append", action="store_true", help="add to the JSON file what it does not have yet")
    measure.add_argument(
        "--out", type=Path, help="the JSON file (default: bench/results/DATE-MACHINE.json; quick: in the cache)"
    )

    for name, text in (
        ("show", "print the tables of a JSON file"),
        ("plot", "draw core-seconds.png and .svg beside it"),
    ):
        verb = verbs.add_parser(name, help=text)
        verb.add_argument("file", type=Path)

    arguments = parser.parse_args(argv)
    if arguments.verb == "setup":
        return _set_up(_clients(arguments.clients))
    if arguments.verb == "run":
        return _run(arguments)
    environment, rows = results.load(arguments.file)
    if arguments.verb == "plot":
        targets = [arguments.file.with_name(f"core-seconds.{suffix}") for suffix in ("png", "svg")]
        plot.draw(environment, rows, targets)
        print("\n".join(map(str, targets)))
    else:
        for scene in dict.fromkeys(row.scene for row in rows):
            print(table(rows, scene), end="\n\n")
    return 0


def _clients(wanted: str | None) -> list[Client]:
    if wanted is None:
        return list(CLIENTS)
    starts = tuple(wanted.split(","))
    chosen = [client for client in CLIENTS if client.name.startswith(starts)]
    if not chosen:
        raise SystemExit(f"no client is called {wanted}; there are: {'; '.join(client.name for client in CLIENTS)}")
    return chosen


def _set_up(clients: list[Client]) -> int:
    failed = environments.set_up(dict.fromkeys(client.environment for client in clients))
    for name, why in failed.items():
        print(f"{name} could not be set up: {why}", file=sys.stderr)
    print(f"environments are in {environments.cache()}")
    return 1 if failed else 0


def _run(arguments: argparse.Namespace) -> int:
    works = QUICK if arguments.quick else FULL
    chosen = arguments.work.split(",") if arguments.work else list(works)
    if unknown := [name for name in chosen if name not in works]:
        raise SystemExit(f"there is no work called {unknown[0]}; there is: {', '.join(works)}")
    clients = _clients(arguments.clients)
    if any(client.is_limit for client in clients):
        try:
            program()
        except BuildFailed as error:
            print(f"{error}\ngoing on without the limit", file=sys.stderr)
            clients = [client for client in clients if not client.is_limit]
    for name in sorted({client.environment for client in clients if environments.python(client.environment) is None}):
        print(f"{name} is not set up, so its clients are left out; run: python -m bench.peers setup", file=sys.stderr)
    plan = Plan(
        clients=[client for client in clients if environments.python(client.environment) is not None],
        works=[works[name] for name in chosen],
        servers=arguments.servers.split(","),
        tls={"plain": [False], "tls": [True], "both": [False, True]}[arguments.transport],
        repeat=arguments.repeat,
        warm_passes=arguments.warm_passes,
        timeout=arguments.timeout,
        both_settings=arguments.both_settings,
    )
    options = {name: value for name, value in vars(arguments).items() if name not in ("verb", "out")}
    environment = results.environment(options)
    # The small sizes say nothing that should be kept.
    name = f"{time.strftime('%Y-%m-%d')}-{results.machine_name(environment['cpu'])}.json"
    path = arguments.out or (environments.cache() / "quick.json" if arguments.quick else results.RESULTS / name)
    rows: list[results.Row] = []
    if arguments.append and path.exists():
        environment, rows = results.load(path)
    for scene in run(plan, rows):
        if sys.stderr.isatty():
            print("\033[K", end="", file=sys.stderr, flush=True)  # the line that told what was going on
        print(table(rows, scene), end="\n\n", flush=True)
        results.save(path, environment, rows)  # after each scene: an interrupted run is not lost
    print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
