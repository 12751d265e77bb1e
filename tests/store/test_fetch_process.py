"""The ends of fetching, the expected and the others: what was called off leaves nothing running, and nothing behind."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from fastdatastore.config import MIB, Settings
from fastdatastore.engine import process
from fastdatastore.store.backends.base import Backend
from fastdatastore.store.backends.local import LocalBackend
from fastdatastore.store.backends.s3 import S3Backend
from fastdatastore.store.cancel import Cancel, Cancelled
from fastdatastore.store.get import fetch
from fastdatastore.testing import servers
from fastdatastore.testing.faults import FaultProxy, Stall
from tests.store.test_fetch import MEMORY, NOISE, NUMBERS, buffers, found, spec
from tests.support.artifacts import store, zstd
from tests.support.clients import client_of
from tests.support.faulty import Place, Way, furnished


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    if (why := servers.why_unavailable("null")) is not None:
        pytest.skip(why)
    with servers.start("null", mode="store") as server, furnished(server) as made:
        yield made


@pytest.fixture
def way(place: Place) -> Iterator[Way]:
    with FaultProxy(place.server.url) as proxy:
        yield Way(place, proxy)


@pytest.fixture
def remote(way: Way) -> S3Backend:
    return S3Backend(way.client(stall_timeout=60.0), way.place.bucket, way.new)


def workers() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("fastdatastore-store")]


def nothing_is_left(backend: Backend, before: int = 0) -> bool:
    gc.collect()
    assert workers() == []
    if isinstance(backend, S3Backend):
        remote = backend.client.remote
        assert process.plane(remote.plane, backend.client.settings).in_flight == 0
    return process.buffer_pool(Settings()).in_flight <= before


def in_flight() -> int:
    """What the tests before this one, of this process, have left on the way."""
    gc.collect()
    return process.buffer_pool(Settings()).in_flight


@pytest.mark.parametrize("where", ["local", "remote"])
def test_who_stops_early_leaves_nothing_running(where: str, remote: S3Backend, tmp_path: Path) -> None:
    backend: Backend = LocalBackend(tmp_path, durable=False) if where == "local" else remote
    refs = [store(backend, [spec(NUMBERS[n:])], zstd) for n in range(6)]
    manifests = found(backend, refs)
    used, before = process.buffer_pool(Settings()).state()["in_use_regions"], in_flight()
    with closing(fetch(backend, manifests, memory=MEMORY)) as fetched:
        _, first = next(fetched)
    assert not isinstance(first, Exception)
    assert nothing_is_left(backend, before)
    assert process.buffer_pool(Settings()).state()["in_use_regions"] == used + 1
    assert bytes(first[0]) in {NUMBERS[n:] for n in range(6)}


def test_a_call_on_a_stalled_link_is_called_off(way: Way, remote: S3Backend) -> None:
    manifests = found(remote, [store(remote, [spec(NOISE), spec(NUMBERS)])])
    way.proxy.add(Stall(at=500_000, operation="GetObject"))
    cancel, before = Cancel(), in_flight()
    threading.Timer(0.3, cancel.set).start()
    with pytest.raises(Cancelled):
        list(fetch(remote, manifests, memory=MEMORY, cancel=cancel))
    assert nothing_is_left(remote, before)


def test_a_call_without_any_transfer_is_called_off(tmp_path: Path) -> None:
    backend = LocalBackend(tmp_path, durable=False)
    manifests = found(backend, [store(backend, [spec(str(n).encode())]) for n in range(3)])
    cancel = Cancel()
    fetched = fetch(backend, manifests, memory=MEMORY, cancel=cancel)
    next(fetched)
    cancel.set()
    with pytest.raises(Cancelled):
        next(fetched)


def test_what_drawing_raises_ends_the_call(remote: S3Backend) -> None:
    manifests = found(remote, [store(remote, [spec(NOISE)])])
    before = in_flight()

    def drawing() -> Iterator[tuple[str, object]]:
        yield from manifests
        raise LookupError("of the caller")

    with pytest.raises(LookupError, match="of the caller"):
        list(fetch(remote, drawing(), memory=MEMORY))  # type: ignore[arg-type]
    assert nothing_is_left(remote, before)


# A thread interrupts the main one, as Ctrl-C does, while workers expand and bytes are on the way.
_INTERRUPTED = """
import signal, sys, threading, time
from tests.store.test_fetch import MEMORY, found
from tests.store.test_fetch_process import nothing_is_left, workers
from fastdatastore.store.backends.local import LocalBackend
from fastdatastore.store.get import fetch

backend = LocalBackend(sys.argv[1])
manifests = found(backend, sys.argv[2:] * 20)

def interrupt():
    while not workers():
        time.sleep(0.001)
    time.sleep(0.05)  # in the middle of its start the pool does not know a thread yet
    signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

threading.Thread(target=interrupt).start()
signal.signal(signal.SIGINT, signal.default_int_handler)
try:
    for _ in fetch(backend, manifests, memory=MEMORY):
        pass
except KeyboardInterrupt:
    pass
else:
    raise SystemExit("it was not interrupted")
assert nothing_is_left(backend)
print("left by itself")
"""


def run(program: str, *arguments: str, **environment: str) -> str:
    """What a program in a process of its own says."""
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        env=os.environ | environment,
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_after_ctrl_c_nothing_goes_on(tmp_path: Path) -> None:
    backend = LocalBackend(tmp_path, durable=False)
    assert run(_INTERRUPTED, str(tmp_path), store(backend, [spec(NUMBERS)], zstd)) == "left by itself\n"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks here")
def test_a_fork_in_the_middle_harms_neither_side(remote: S3Backend) -> None:
    refs = [store(remote, [spec(NUMBERS[n:])], zstd) for n in range(4)]
    fetched = fetch(remote, found(remote, refs), memory=MEMORY)
    seen = [next(fetched)]
    pid = os.fork()
    if not pid:
        code = 1
        try:
            with pytest.raises(RuntimeError, match="forked child"):
                list(fetched)
            assert bytes(buffers(remote, refs[0])[0]) == NUMBERS
            code = 0
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    seen += fetched
    assert sorted(bytes(got[0]) for _, got in seen if not isinstance(got, Exception)) == sorted(
        NUMBERS[n:] for n in range(4)
    )


# ---- memory ----

CEILING = 96 * MIB
# Python's own objects, stacks and buffers of connections, and what a thread expands into.
BESIDES = 48 * MIB

_PEAK = """
import sys, threading
from pathlib import Path
from fastdatastore.auth.endpoint import EndpointConfig
from fastdatastore.config import MIB, Settings
from fastdatastore.engine.client import Client
from fastdatastore.store.backends.s3 import S3Backend
from fastdatastore.store.get import fetch, read_manifests

def resident():
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024

settings = Settings()
client = Client(EndpointConfig(sys.argv[1], "us-east-1", "", "path"), settings=settings)
backend = S3Backend(client, sys.argv[2], sys.argv[3])
warm, large = sys.argv[4:]
assert [got for _, got in fetch(backend, read_manifests(backend, [warm]), memory=MIB)]
before = peak = resident()
over = threading.Event()
def sample():
    global peak
    while not over.wait(0.002):
        peak = max(peak, resident())
sampler = threading.Thread(target=sample)
sampler.start()
((_, got),) = fetch(backend, read_manifests(backend, [large]), memory=settings.memory_ceiling // 2)
over.set()
sampler.join()
print(peak - before, sum(map(len, got)))
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
@pytest.mark.timeout(300)
@pytest.mark.parametrize("compressed", [False, True])
def test_memory_besides_the_result_stays_below_the_ceiling(place: Place, compressed: bool) -> None:
    server = place.server
    backend = S3Backend(client_of(server), place.bucket, "peaks")
    parts = [spec(bytes([n]) * 32 + NUMBERS) for n in range(20)]
    warm = store(backend, [spec(NOISE[: 2 * MIB])])
    large = store(backend, parts, zstd) if compressed else store(backend, parts)
    said = run(_PEAK, server.url, place.bucket, "peaks", warm, large, **server.env(), FDS_MEMORY_CEILING=str(CEILING))
    peak, size = map(int, said.split())
    print(f"{peak / MIB:,.0f} MiB resident, {size / MIB:,.0f} of them the result")
    assert size > 4 * CEILING
    assert peak - size < CEILING + BESIDES
