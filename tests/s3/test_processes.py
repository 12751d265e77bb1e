"""The ways in which programs spread over threads and processes: pools, data loaders, Metaflow's parallel_map, exits."""

from __future__ import annotations

import json
import multiprocessing
import os
import pickle
import random
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from fastdatastore import S3
from fastdatastore.auth.credentials import CredentialProvider
from fastdatastore.config import MIB
from fastdatastore.testing.servers import RunningServer, null
from tests.support.clients import client_of, s3_of

BUCKET = "processes"
RANDOM = random.Random(29).randbytes(20 * MIB)
SIZES = (0, 1, 1000, 300_000, 5 * MIB, 17 * MIB + 3)
CONTENTS = {f"key-{i}": RANDOM[i : i + size] for i, size in enumerate(SIZES)}
KEYS = list(CONTENTS)
SUMS = [zlib.crc32(content) for content in CONTENTS.values()]


@pytest.fixture(scope="module")
def server() -> Iterator[RunningServer]:
    """The null server, with CONTENTS in its bucket."""
    with null.start(buckets=[BUCKET]) as started:
        client = client_of(started)
        client.run_all([client.put(BUCKET, key, content) for key, content in CONTENTS.items()])
        yield started


@pytest.fixture(params=["native", "portable"])
def s3(request: pytest.FixtureRequest, server: RunningServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> S3:
    """An S3 over each data plane, that has been used already."""
    if request.param == "portable" and find_spec("aiobotocore") is None:
        pytest.skip("aiobotocore is not installed")
    monkeypatch.setenv("FDS_ENGINE", request.param)  # for children that begin with nothing
    made = s3_of(client_of(server), BUCKET, tmp_path)
    assert checksum(made, KEYS[-1]) == SUMS[-1]
    return made


def checksum(s3: S3, key: str) -> int:
    """Of what is stored there."""
    view = s3.get(key).view
    assert view is not None
    return zlib.crc32(view)


def checksum_and_put(s3: S3, key: str) -> int:
    s3.put(f"{key}.{os.getpid()}", CONTENTS[key])
    return checksum(s3, key) if checksum(s3, f"{key}.{os.getpid()}") == zlib.crc32(CONTENTS[key]) else -1


# ---- pools ----


def test_one_client_serves_a_pool_of_threads(s3: S3) -> None:
    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(checksum, [s3] * 60, KEYS * 10)) == SUMS * 10


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_a_client_goes_to_the_processes_of_a_pool(s3: S3, method: str) -> None:
    with ProcessPoolExecutor(2, multiprocessing.get_context(method)) as pool:
        assert list(pool.map(checksum_and_put, [s3] * 12, KEYS * 2)) == SUMS * 2
    assert checksum(s3, KEYS[-1]) == SUMS[-1]


# ---- torch.utils.data.DataLoader: its workers inherit the dataset, a new set of them for each epoch ----


class Dataset:
    """What users write: a client made in the parent, keys looked up there."""

    def __init__(self, s3: S3) -> None:
        self.s3 = s3
        self.keys = sorted(found.key for found in s3.list_paths() if found.key in CONTENTS)

    def __getitem__(self, index: int) -> bytes:
        return self.s3.get(self.keys[index]).blob or b""


def _load(dataset: Dataset, indices: Any, results: Any) -> None:
    for index in iter(indices.get, None):
        results.put((index, zlib.crc32(dataset[index])))


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_the_workers_of_a_data_loader_read_while_their_parent_does(s3: S3, method: str) -> None:
    dataset = Dataset(s3)
    context: Any = multiprocessing.get_context(method)
    for _epoch in range(2):
        indices, results = context.Queue(), context.Queue()
        workers = [context.Process(target=_load, args=(dataset, indices, results), daemon=True) for _ in range(2)]
        for worker in workers:
            worker.start()
        for index in [*range(len(KEYS))] * 3 + [None, None]:
            indices.put(index)
        for _ in range(3):  # validation goes on meanwhile
            assert zlib.crc32(dataset[5]) == SUMS[5]
        got = sorted(results.get(timeout=60) for _ in range(3 * len(KEYS)))
        assert got == sorted([*enumerate(SUMS)] * 3)
        for worker in workers:
            worker.join(30)
            assert worker.exitcode == 0


# ---- metaflow.multicore_utils.parallel_map: os.fork, the result in a pickled file, os._exit ----


def parallel_map(function: Callable[[Any], Any], items: list[Any], directory: Path) -> list[Any]:
    children = []
    for number, item in enumerate(items):
        path = directory / f"result-{number}"
        pid = os.fork()
        if not pid:
            code = 1
            try:
                path.write_bytes(pickle.dumps(function(item)))
                code = 0
            finally:
                os._exit(code)
        children.append((pid, path))
    assert [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid, _ in children] == [0] * len(items)
    return [pickle.loads(path.read_bytes()) for _, path in children]


def test_a_parallel_map_works_with_the_client_around_it(s3: S3, tmp_path: Path) -> None:
    with s3:
        before = s3.get(KEYS[-1])
        assert parallel_map(lambda key: checksum(s3, key), KEYS * 2, tmp_path) == SUMS * 2
        assert before.blob == CONTENTS[KEYS[-1]]  # what the parent has is still there
        assert checksum(s3, KEYS[-1]) == SUMS[-1]


def test_a_parallel_map_works_within_threads_and_within_itself(s3: S3, tmp_path: Path) -> None:
    def twice(key: str) -> list[Any]:
        inner = tmp_path / f"inner-{os.getpid()}"
        inner.mkdir()
        return parallel_map(lambda _: checksum(s3, key), [1, 2], inner)

    stop = threading.Event()

    def load() -> None:
        while not stop.is_set():
            assert checksum(s3, KEYS[-1]) == SUMS[-1]

    thread = threading.Thread(target=load)
    thread.start()
    try:
        assert parallel_map(twice, KEYS[:4], tmp_path) == [[SUMS[i], SUMS[i]] for i in range(4)]
    finally:
        stop.set()
        thread.join()


def test_a_fork_while_another_thread_looks_for_credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = json.dumps({"Version": 1, "AccessKeyId": "AKIDEXAMPLE", "SecretAccessKey": "secret"})
    (tmp_path / "found.json").write_text(found)
    config = tmp_path / "config"
    config.write_text(f'[default]\ncredential_process = sh -c "sleep 1; cat {tmp_path}/found.json"\n')
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    provider = CredentialProvider()
    provider.session()
    thread = threading.Thread(target=provider.snapshot)
    thread.start()
    time.sleep(0.3)
    assert parallel_map(lambda _: provider.snapshot().access_key, [1], tmp_path) == ["AKIDEXAMPLE"]
    thread.join()


# ---- the interpreter's end ----

_BEGIN = """
import asyncio, atexit, os, sys, threading
def at_the_very_end():
    if "atexit, late" in WHAT: S3.get("key-5")
WHAT = sys.argv[2]
atexit.register(at_the_very_end)  # before ours is: runs after it
import fastdatastore
from fastdatastore.engine.client import Client
from fastdatastore.auth.endpoint import EndpointConfig
client = Client(EndpointConfig(sys.argv[1], "us-east-1", "", "path"))
S3 = fastdatastore.S3(s3root="s3://processes", client=client)
"""

# What is done last before the interpreter ends.
ENDS = {
    "a client that was never used": "",
    "connections that idle": "S3.get('key-4')",
    "a result that is held": "kept = S3.get('key-5'); view = memoryview(kept.view)[5:]",
    "a result that is in a circle": "kept = S3.get('key-5'); circle = [kept.view]; circle.append(circle); del kept",
    "a generator that was never drawn": "jobs = client.run([client.get('processes', 'key-5')])",
    "a generator that is half drawn": (
        "jobs = client.run([client.get('processes', f'key-{i}') for i in (1, 5, 5, 5)]); next(jobs)"
    ),
    "an exit in the middle of a run": (
        "for job in client.run([client.get('processes', f'key-{i}') for i in (1, 5, 5, 5)]): sys.exit(0)"
    ),
    "threads that transfer for ever": """
def work():
    while True: S3.get('key-5')
for _ in range(4): threading.Thread(target=work, daemon=True).start()
S3.get('key-5')
""",
    "a thread that ends later": "threading.Timer(0.3, lambda: S3.get('key-5')).start()",
    "a transfer in atexit": "atexit.register(lambda: S3.get('key-5'))",
    "a transfer in atexit, late": "",
    "a transfer in a finalizer": """
class Late:
    def __del__(self, s3=S3): s3.get('key-5')
late = Late()
""",
    "an event loop that was never closed": """
loop = asyncio.new_event_loop()
loop.run_until_complete(fastdatastore.AsyncS3(s3root='s3://processes', client=client).get('key-5'))
""",
    "a task that never ended": """
async def main():
    s3 = fastdatastore.AsyncS3(s3root='s3://processes', client=client)
    tasks.append(asyncio.ensure_future(s3.get_many(['key-4', 'key-5'] * 4)))
    await asyncio.sleep(0.01)
tasks, loop = [], asyncio.new_event_loop()
loop.run_until_complete(main())
""",
    "os._exit": "threading.Thread(target=lambda: S3.get('key-5'), daemon=True).start(); os._exit(0)",
    "an exit in a forked child": """
S3.get('key-5')
if not os.fork():
    S3.get('key-5')
    sys.exit(0)
assert os.wait()[1] == 0
S3.get('key-5')
""",
}

# What is then said. The portable plane needs threads of asyncio's, which Python ends first.
SAYS = {
    "threads that transfer for ever": "",  # whether they come to say that they were ended is a matter of chance
    "a task that never ended": "",  # likewise
    "a transfer in a finalizer": "Exception ignored",
}
PORTABLE_SAYS = SAYS | dict.fromkeys(
    ("a thread that ends later", "a transfer in atexit", "a transfer in atexit, late"), "ProtocolError"
)
PORTABLE_SAYS["a generator that is half drawn"] = ""  # without a GIL it may outlive the modules that it needs


@pytest.mark.parametrize("engine", ["native", "portable"])
@pytest.mark.parametrize("what", ENDS)
def test_the_interpreter_ends_with(server: RunningServer, what: str, engine: str) -> None:
    if engine == "portable" and find_spec("aiobotocore") is None:
        pytest.skip("aiobotocore is not installed")
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", _BEGIN + ENDS[what], server.url, what],
        env={
            **os.environ,
            **server.env(),
            "FDS_ENGINE": engine,
            "FDS_PART_SIZE": str(5 * MIB),
            "PYTHONWARNINGS": "ignore",
        },
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    says = (SAYS if engine == "native" else PORTABLE_SAYS).get(what)
    assert done.stderr == "" if says is None else says in done.stderr


# ---- subinterpreters ----

_IN_A_SUBINTERPRETER = """
import sys
from fastdatastore import errors
try:
    from fastdatastore import S3
    with S3(s3root="s3://processes") as s3:
        print("got", s3.get("key-5").size)
    from fastdatastore.engine import process
    process._close()
except errors.ConfigurationError as error:
    print("refused:", error)
"""
_RUN = """
import sys
if sys.version_info >= (3, 13):
    import _interpreters
    kind = _interpreters.create("isolated" if sys.argv[1] == "isolated" else "legacy")
    failure = _interpreters.exec(kind, sys.argv[2])
    assert failure is None, failure
else:
    import _xxsubinterpreters
    _xxsubinterpreters.run_string(_xxsubinterpreters.create(isolated=sys.argv[1] == "isolated"), sys.argv[2])
"""


def _in_a_subinterpreter(server: RunningServer, kind: str) -> str:
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", _RUN, kind, _IN_A_SUBINTERPRETER],
        env={**os.environ, **server.env(), "FDS_ENGINE": ""},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="the module for them has another interface there")
def test_a_subinterpreter_that_shares_the_gil_transfers(server: RunningServer) -> None:
    assert _in_a_subinterpreter(server, "legacy") == f"got {len(CONTENTS['key-5'])}\n"


@pytest.mark.skipif(not (3, 12) <= sys.version_info < (3, 14), reason="Python 3.11 has none with a GIL of its own")
def test_an_isolated_subinterpreter_is_refused_in_words(server: RunningServer) -> None:
    assert _in_a_subinterpreter(server, "isolated").startswith("refused: fastdatastore does not run in an isolated")
