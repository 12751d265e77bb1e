"""How long a transfer goes on after Ctrl-C, or after its task is cancelled: `python -m bench.interrupt`.

The server falls silent in the state that is measured, and stays so: it answers no abort either. Ctrl-C counts from the
signal to the end of the process, a cancel from `Task.cancel` to the CancelledError.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.peers.results import RESULTS, environment, machine_name
from fastdatastore.config import MIB
from fastdatastore.testing import servers
from fastdatastore.testing.faults import Fault, FaultProxy, Stall

BOUND = 1.0  # seconds
# The server, or what the child says, shows that a state begins; a moment later it has.
SETTLE = 0.5
DEADLINE = 30.0

_CHILD = """
import asyncio, signal, sys, time
from fastdatastore import S3, AsyncS3

signal.signal(signal.SIGINT, signal.default_int_handler)
how, verb = sys.argv[1:]
root = "s3://bucket"
arguments = {"get": ("key.100000000",), "put": ("key", bytes(64 << 20)), "list_recursive": ()}[verb]
print("begins", flush=True)
if how == "Ctrl-C":
    getattr(S3(s3root=root), verb)(*arguments)

async def main():
    task = asyncio.create_task(getattr(AsyncS3(s3root=root), verb)(*arguments))
    await asyncio.to_thread(sys.stdin.readline)
    began = time.monotonic()
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        print(time.monotonic() - began)

asyncio.run(main())
"""


@dataclass(frozen=True)
class State:
    """Where a transfer is when it is ended. `faults`: of a proxy before the server; none: there is no server."""

    name: str
    verb: str
    faults: tuple[Fault, ...] = ()


STATES = (
    State("connect", "get"),
    State("TLS", "get"),
    State("first byte", "get", (Stall(at=None, operation="GetObject"),)),
    State("body", "get", (Stall(at=MIB, operation="GetObject"),)),
    State(
        "upload",
        "put",
        (
            Stall(at=MIB, operation="UploadPart", direction="request"),
            Stall(at=None, operation="AbortMultipartUpload"),
        ),
    ),
    State("list", "list_recursive", (Stall(at=None, operation="ListObjectsV2"),)),
)
WAYS = ("Ctrl-C", "cancel")


@contextlib.contextmanager
def _silent_at(state: State) -> Iterator[tuple[str, Callable[[], bool]]]:
    """A server that falls silent there: its URL, and whether it has."""
    if state.faults:
        mode = "store" if state.verb == "put" else "fixed"
        with servers.start("null", mode=mode, buckets=("bucket",)) as server, FaultProxy(server.url) as proxy:
            proxy.add(*state.faults)
            yield proxy.url, lambda: any(passed.faults for passed in proxy.log)
        return
    with contextlib.ExitStack() as sockets:
        listener = sockets.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        port = listener.getsockname()[1]
        if state.name == "TLS":
            listener.settimeout(0.0)

            def has_come() -> bool:
                with contextlib.suppress(BlockingIOError):
                    sockets.enter_context(listener.accept()[0])
                    return True
                return False

            yield f"https://127.0.0.1:{port}", has_come
            return
        for _ in range(8):  # its queue is full before these have all their place
            waiting = sockets.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(("127.0.0.1", port))
        yield f"http://127.0.0.1:{port}", lambda: True  # nothing shows it


def measure(state: State, how: str) -> float:
    """Seconds from the signal, or the cancel, to the end."""
    with _silent_at(state) as (url, has_fallen_silent):
        keys = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_ENDPOINT_URL": url}
        child = subprocess.Popen(
            [sys.executable, "-c", _CHILD, how, state.verb],
            env=os.environ | keys,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert child.stdout is not None
        with child:
            child.stdout.readline()
            deadline = time.monotonic() + DEADLINE
            while not has_fallen_silent() and time.monotonic() < deadline and child.poll() is None:
                time.sleep(0.01)
            time.sleep(SETTLE)
            if child.poll() is not None:
                raise SystemExit(f"{state.name}: the transfer ended by itself: {child.communicate()[1]}")
            began = time.monotonic()
            if how == "cancel":
                return float(child.communicate("now\n")[0])
            child.send_signal(signal.SIGINT)
            _, said = child.communicate()
            took = time.monotonic() - began
            if "KeyboardInterrupt" not in said:
                raise SystemExit(f"{state.name}: Ctrl-C was not told: {said}")
            return took


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.interrupt", description=__doc__)
    parser.add_argument("--repeat", type=int, default=5, help="of each state (default: 5)")
    parser.add_argument("--out", type=Path, help="the JSON file (default: bench/results/interrupt-DATE-MACHINE.json)")
    arguments = parser.parse_args()
    facts = environment({"repeat": arguments.repeat})
    out = arguments.out or RESULTS / f"interrupt-{facts['date'][:10]}-{machine_name(facts['cpu'])}.json"
    rows = []
    longest = 0.0
    print(f"{'':20}{'median':>10}{'longest':>10}")
    for state in STATES:
        for how in WAYS:
            seconds = [round(measure(state, how), 3) for _ in range(arguments.repeat)]
            longest = max(longest, *seconds)
            rows.append({"state": state.name, "how": how, "seconds": seconds})
            name = f"{state.name}, {how}"
            print(f"{name:20}{statistics.median(seconds):8.2f} s{max(seconds):8.2f} s", flush=True)
    document = {"schema": 1, "environment": facts, "bound": BOUND, "rows": rows}
    out.write_text(json.dumps(document, indent=1) + "\n")
    print(f"written to {out}")
    return 1 if longest > BOUND else 0


if __name__ == "__main__":
    sys.exit(main())
