"""S3 in a process that has loaded Metaflow: signatures, errors, flows, parallel_map.

Each in a process of its own, since Metaflow changes what our errors are. Its own tests of S3 run on ours by
`python -m tests.upstream.run`.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from fastdatastore import errors
from fastdatastore.testing.servers import RunningServer

pytest.importorskip("importlib.metadata").version("metaflow")


def _run(script: str, directory: Path, *arguments: str, **variables: str) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "METAFLOW_"))}
    environment |= {"METAFLOW_USER": "tester", "HOME": str(directory), **variables}
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments],
        env=environment,
        cwd=directory,
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_method_takes_what_metaflows_does(tmp_path: Path) -> None:
    script = """
import inspect, metaflow, fastdatastore

names = [n for n, v in vars(metaflow.S3).items() if callable(v) and (not n.startswith("_") or n == "__init__")]
assert len(names) > 10
for name in names:
    theirs = list(inspect.signature(getattr(metaflow.S3, name)).parameters.values())
    ours = list(inspect.signature(getattr(fastdatastore.S3, name)).parameters.values())[: len(theirs)]
    if name == "__init__":  # Metaflow's decorator hides them; the configuration's defaults are looked up late
        theirs = list(inspect.signature(metaflow.S3.__init__.__closure__[0].cell_contents).parameters.values())[:-1]
        ours = list(inspect.signature(fastdatastore.S3.__init__).parameters.values())[: len(theirs)]
        theirs, ours = [p.name for p in theirs], [p.name for p in ours]
    else:
        theirs, ours = [(p.name, p.default) for p in theirs], [(p.name, p.default) for p in ours]
    assert theirs == ours, (name, theirs, ours)
assert fastdatastore.S3.TYPE == metaflow.S3.TYPE
"""
    _run(script, tmp_path)


ERRORS = """
import pickle, sys
from fastdatastore import S3, S3GetObject, errors
from metaflow.exception import MetaflowException
from metaflow.plugins.datatools.s3 import s3 as theirs

def caught(expected, ours, call):
    try:
        call()
    except expected as error:
        assert isinstance(error, ours) and isinstance(error, MetaflowException), type(error).__mro__
        assert type(error).__name__ == ours.__name__
        assert error.message == str(error) and error.headline and error.line_no is None
        again = pickle.loads(pickle.dumps(error))
        assert type(again) is type(error) and str(again) == str(error) and vars(again) == vars(error)
        return error
    raise AssertionError(f"no {expected}")

s3 = S3(s3root=sys.argv[1])
s3.put("key", b"12345")
missing = caught(theirs.MetaflowS3NotFound, errors.NotFound, lambda: s3.get("missing"))
assert missing.operation == "GetObject" and missing.request_id and missing.attempts == 1
caught(theirs.MetaflowS3NotFound, errors.BucketNotFound, lambda: S3().get("s3://no-such-bucket/key"))
caught(theirs.MetaflowS3NotFound, errors.LocalFileNotFound, lambda: s3.put_files([("a", "/no such file")]))
caught(theirs.MetaflowS3URLException, errors.InvalidKey, lambda: S3(s3root="http://bucket"))
caught(theirs.MetaflowS3URLException, errors.InvalidKey, lambda: s3.get("s3://bucket/key"))
caught(theirs.MetaflowS3InvalidObject, errors.InvalidObject, lambda: s3.put("key", 1))
caught(theirs.MetaflowS3InvalidRange, errors.InvalidRange, lambda: s3.get_many([S3GetObject("key", 9, 9)]))
caught(theirs.MetaflowS3Exception, errors.ConnectError, lambda: S3(endpoint_url="http://127.0.0.1:1").get("s3://b01/k"))
wrong = {"aws_access_key_id": "nobody", "aws_secret_access_key": "secret", "endpoint_url": sys.argv[2]}
caught(theirs.MetaflowS3AccessDenied, errors.BadCredentials, lambda: S3(client_params=wrong).get(sys.argv[1] + "/key"))
try:
    raise errors.InsufficientDiskSpace("full")
except theirs.MetaflowS3InsufficientDiskSpace as error:
    assert isinstance(error, OSError) and str(error) == "full"
sys.stdout.write(pickle.dumps(missing).hex())
"""


def test_errors_are_metaflows_own_too_and_pickle_into_processes_without_it(
    s3_server: RunningServer, bucket: str, tmp_path: Path
) -> None:
    if not s3_server.checks_signatures:
        pytest.skip(f"{s3_server.name} takes any credentials")
    pickled = _run(ERRORS, tmp_path, f"s3://{bucket}", s3_server.url, **s3_server.env())
    here = pickle.loads(bytes.fromhex(pickled))
    assert type(here) is errors.NotFound
    assert (here.key, here.operation) == ("missing", "GetObject")
    there = pickle.dumps(here).hex()
    script = """
import pickle, sys
from metaflow.plugins.datatools.s3 import MetaflowS3NotFound
assert isinstance(pickle.loads(bytes.fromhex(sys.argv[1])), MetaflowS3NotFound)
"""
    _run(script, tmp_path, there)


def test_parallel_map_works_with_one_look_for_credentials(
    s3_server: RunningServer, bucket: str, tmp_path: Path
) -> None:
    script = """
import sys
from metaflow import parallel_map
from fastdatastore import S3

s3 = S3(s3root=sys.argv[1])
s3.put("whole", bytes(20 << 20))

def work(i):
    s3.put(str(i), str(i))
    with S3(s3root=sys.argv[1]) as own:
        return own.get_many([str(i)])[0].text, s3.get("whole").size

assert parallel_map(work, range(6), max_parallel=3) == [(str(i), 20 << 20) for i in range(6)]
assert sorted(found.key for found in s3.list_paths()) == [*"012345", "whole"]
"""
    _run(script, tmp_path, f"s3://{bucket}", **s3_server.env())


FLOW = """
from fastdatastore import S3
from metaflow import FlowSpec, Run, current, step
from metaflow.plugins.datatools.s3 import MetaflowS3NotFound, MetaflowS3URLException

class DropInFlow(FlowSpec):
    @step
    def start(self):
        with S3(run=self) as s3:
            self.url = s3.put("key", "value")
            assert self.url.endswith(f"/data/DropInFlow/{current.run_id}/key"), self.url
            assert [got.text for got in s3.get_all()] == ["value"]
            try:
                s3.get("missing")
            except MetaflowS3NotFound as error:
                self.error = error
        self.next(self.end)

    @step
    def end(self):
        assert self.error.key.endswith("/missing")
        with S3(run=Run(f"DropInFlow/{current.run_id}", _namespace_check=False)) as s3:
            assert s3.get("key").text == "value"

if __name__ == "__main__":
    try:
        S3(run=DropInFlow(use_cli=False))
    except MetaflowS3URLException:
        DropInFlow()
"""


def test_a_flow_goes_on_working(s3_server: RunningServer, bucket: str, tmp_path: Path) -> None:
    (tmp_path / "flow.py").write_text(FLOW)
    variables = {
        "METAFLOW_DATASTORE_SYSROOT_S3": f"s3://{bucket}/flows",
        "METAFLOW_DEFAULT_DATASTORE": "local",
        "METAFLOW_DEFAULT_METADATA": "local",
    }
    script = "import runpy, sys; sys.argv = ['flow.py', 'run']; runpy.run_path('flow.py', run_name='__main__')"
    _run(script, tmp_path, **variables, **s3_server.env())
