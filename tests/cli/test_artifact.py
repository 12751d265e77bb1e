"""`fds artifact put|get|ls|stat|tag|rm|verify|gc`, each test named by the command that a user types.

A row: the command, the exit code, a pattern of what it prints to stdout, and a piece of its stderr. "{s}" is the store;
"{array}", "{table}", "{raw}", "{pickled}" are the refs of what is in it. The working directory holds files to put.
"""

from __future__ import annotations

import io
import json
import os
import pickle
import re
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fastdatastore import ArtifactStore, errors
from fastdatastore.cli.artifact.stat import table
from fastdatastore.cli.artifact.stores import printable
from fastdatastore.cli.main import main
from fastdatastore.store.stat import ArtifactStat
from fastdatastore.testing.servers import RunningServer
from tests.store.stores import in_bucket

REF = "b3:[0-9a-f]{64}"
NOWHERE = "b3:" + "0" * 64
ARRAY = np.arange(500_000, dtype="float64")
TABLE = pa.table({"id": pa.array(range(1000)), "name": [f"row {n}" for n in range(1000)]})
PICKLED = {"epoch": 7}


class Shell:
    """Runs commands in a working directory of their own, in this process."""

    def __init__(self, store: ArtifactStore, directory: Path, capture: pytest.CaptureFixture[str]) -> None:
        self.store = store
        self.directory = directory
        refs = store.put_many([ARRAY, TABLE, b"raw bytes", PICKLED])
        self.names = dict(zip(("array", "table", "raw", "pickled"), refs, strict=True), s=store.url)
        store.tag("numbers", self.names["array"])
        self._capture = capture

    def __call__(self, command: str) -> tuple[int, str, str]:
        """The exit code, stdout, and stderr."""
        name, *arguments = shlex.split(command.format(**self.names))
        assert name == "fds"
        code = main(["artifact", *arguments])
        out, err = self._capture.readouterr()
        assert "Traceback" not in err
        return code, out, err


def _fill(here: Path) -> None:
    here.mkdir()
    (here / "a.bin").write_bytes(b"a file")
    (here / "b.bin").write_bytes(bytes(3 << 20))
    np.save(here / "array.npy", ARRAY)
    pq.write_table(TABLE, here / "table.parquet")
    (here / "object.pickle").write_bytes(pickle.dumps(PICKLED))
    (here / "directory").mkdir()


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    """A store in a directory."""
    _fill(tmp_path / "here")
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("TZ", "UTC")
    return Shell(ArtifactStore((tmp_path / "store").as_uri(), durable=False), tmp_path / "here", capsys)


ROWS = [
    ("fds put {s} a.bin", 0, REF, ""),
    ("fds put {s} a.bin b.bin", 0, f"{REF}\n{REF}", ""),
    ("fds put {s} a.bin --json", 0, f'{{"source": "a.bin", "ref": "{REF}", "size": 6}}', ""),
    ("fds put {s} a.bin --tag x/y --json", 0, r'.*"tag": "x/y", .*}', ""),
    ("fds put {s} b.bin --no-compression", 0, REF, ""),
    ("fds put {s} gone.bin", 1, "", "there is no file gone.bin"),
    ("fds put {s} directory", 1, "", "cannot read directory: Is a directory"),
    ("fds put {s} a.bin b.bin --tag x", 2, "", "--tag is of one file"),
    ("fds put {s} - -", 2, "", "can be read but once"),
    ("fds put {s} a.bin --as npy", 1, "", "a.bin: not to be had as npy: it is no .npy file"),
    ("fds put {s} a.bin --as parquet", 1, "", "a.bin: not to be had as parquet: Arrow"),
    ("fds put {s} a.bin --as arrow", 1, "", "a.bin: not to be had as arrow: Arrow"),
    ("fds put {s} a.bin --as pickle", 1, "", "a.bin: not to be had as pickle: "),
    ("fds put {s} array.npy a.bin array.npy --as npy", 1, f"{REF}\n{REF}", "fds: 1 of 3 failed"),
    ("fds put {s} gone.bin a.bin directory", 1, REF, "there is no file gone.bin\nfds: directory: cannot read"),
    ("fds put {s} gone.bin --json", 1, '{"operation": "put", "source": "gone.bin", "success": false, .*}', "no file"),
    ("fds put {s} a.bin --tag ../x", 1, "", "cannot be the name of a tag"),
    ("fds put {s} a.bin --tag b3:x", 1, "", "would be taken for a ref"),
    (
        "fds put {s} a.bin --tag ../x --json",
        1,
        r'{"operation": "put", "store": "file:.*"success": false, "error": ".*cannot be the name of a tag.*',
        "cannot be",
    ),
    ("fds put /data/store a.bin", 2, "", "as_uri"),
    ("fds put gs://bucket/x a.bin", 2, "", "s3://bucket/prefix or file:///"),
    ("fds put {s} --region us-east-1 a.bin", 2, "", "--region: for s3:// URLs"),
    ("fds get {s} {raw} -", 0, "raw bytes", ""),
    ("fds get {s} {raw} out.bin", 0, "", ""),
    ("fds get {s} {raw} out.bin --json", 0, f'{{"ref": "{REF}", "target": "out.bin"}}', ""),
    ("fds get {s} numbers out.bin", 2, "", "a numpy.ndarray is no bytes: give --as"),
    ("fds get {s} numbers out.parquet", 2, "", "a numpy.ndarray is no table"),
    ("fds get {s} {table} out --as npy", 2, "", "a pyarrow.lib.Table is no numpy.ndarray"),
    ("fds get {s} {raw} directory", 1, "", "cannot write directory"),
    ("fds get {s} {raw} nowhere/out", 1, "", "cannot write nowhere/out: No such file or directory"),
    ("fds get {s} {pickled} out.pickle --as pickle", 1, "", "or --allow-pickle here"),
    ("fds get {s} no-such-tag out --json", 1, r'{"operation": "get", .*"success": false, "error": .*}', "no tag 'no-"),
    (f"fds get {{s}} {NOWHERE} -", 1, "", "there is no artifact b3:0000"),
    ("fds get {s} no-such-tag -", 1, "", "there is no tag 'no-such-tag'"),
    ("fds get {s} b3:123 -", 1, "", "is no ref"),
    ("fds get {s}-elsewhere numbers -", 1, "", "there is no artifact store at file:///"),
    ("fds ls {s}", 0, rf"(20\d\d-\d\d-\d\d \d\d:\d\d:\d\d  {REF}(  numbers)?\n?){{4}}", ""),
    ("fds ls {s} --tagged -l", 0, rf"20.*  3.81 MiB  numpy.ndarray           {REF}  numbers", ""),
    ("fds ls {s} --tagged --json", 0, rf'{{"ref": "{REF}", "created": "20.*Z", "tags": \["numbers"\]}}', ""),
    (
        "fds stat {s} numbers",
        0,
        rf"(?s)ref         {REF}\ntags        numbers\ntype        numpy.ndarray\nshape .*",
        "",
    ),
    ("fds stat {s} numbers {table}", 0, r"(?s).*\n\nref .*\nrows        1,000\ncolumns     2\n.*id    int64\n.*", ""),
    ("fds stat {s} --json {pickled}", 0, r'{"ref": .*"type": "dict".*"inline": true.*"tags": \[\]}', ""),
    (
        f"fds stat {{s}} {NOWHERE} {{raw}}",
        1,
        r"(?s)ref .*type        bytes\nsize        9 bytes\n.*",
        "there is no artifact",
    ),
    (
        f"fds stat {{s}} {NOWHERE} {{raw}} --json",
        1,
        rf'{{"operation": "stat", "artifact": "{NOWHERE}", "success": false, "error": ".*"}}\n{{"ref": .*',
        "1 of 2 failed",
    ),
    ("fds tag {s}", 0, f"{REF}  numbers", ""),
    ("fds tag {s} numbers", 0, f"{REF}  numbers", ""),
    ("fds tag {s} numbers --json", 0, f'{{"tag": "numbers", "ref": "{REF}"}}', ""),
    ("fds tag {s} new numbers", 0, f"{REF}  new", ""),
    ("fds tag {s} numbers {raw} --if {array}", 0, f"{REF}  numbers", ""),
    ("fds tag {s} numbers {raw} --if {raw}", 1, "", "is not set, because"),
    ("fds tag {s} numbers {raw} --new", 1, "", "is not set, because"),
    ("fds tag {s} numbers --delete", 0, "", ""),
    ("fds tag {s} numbers {raw} --delete", 2, "", "--delete takes"),
    ("fds tag {s} --new", 2, "", "--if and --new are for setting"),
    ("fds tag {s} gone", 1, "", "there is no tag 'gone'"),
    ("fds tag {s} gone --json", 1, r'{"operation": "tag", .*"success": false, "error": "there .*}', "no tag 'gone'"),
    ("fds tag {s} b3:x {raw}", 1, "", "would be taken for a ref"),
    ("fds rm {s} {raw} {raw}", 0, f"delete: {REF}\ndelete: {REF}", ""),
    ("fds rm {s} {array}", 1, "", "has the tag 'numbers'"),
    ("fds rm {s} {array} {raw}", 1, f"delete: {REF}", "has the tag 'numbers'"),
    ("fds rm {s} {array} --force --json", 0, f'{{"operation": "delete", "ref": "{REF}"}}', ""),
    ("fds rm {s} numbers", 1, "", "is no ref"),
    (
        "fds rm {s} {array} --json",
        1,
        rf'{{"operation": "delete", "ref": "{REF}", "success": false, "error": "artifact .*"}}',
        "1 of 1 failed",
    ),
    ("fds ls {s}-elsewhere --json", 1, r'{"operation": "list", "store": .*"success": false, .*}', "no artifact store"),
    ("fds gc {s}", 0, r"(?s)kept       4 artifacts .*condemned  0 objects.*", ""),
    ("fds gc {s} --dry-run", 0, r"(?s)nothing was changed.*kept       4 artifacts .*", ""),
    ("fds gc {s} --json --exclusive", 0, r'{"artifacts": {"count": 4, .*', ""),
    ("fds gc {s} --grace 5m", 2, "", "grace must be at least"),
    ("fds gc {s} --grace x", 2, "", "--grace must be like"),
    ("fds gc {s} --older-than 3d", 2, "", "--older-than is for --untagged"),
    ("fds verify {s}", 0, r"good: 4 artifacts \(.*\), 1 chunk \(3.81 MiB\), 1 tag; garbage: 0 chunks \(0 B\)", ""),
    ("fds verify {s} numbers {raw}", 0, r"good: 2 artifacts \(3.81 MiB\), 1 chunk \(3.81 MiB\)", ""),
    ("fds verify {s} --json", 0, r'{"artifacts": {"count": 4, .*', ""),
    (f"fds verify {{s}} {NOWHERE}", 1, f"artifact {NOWHERE}: missing: there is no such artifact", "1 of what was"),
    (
        f"fds verify {{s}} {NOWHERE} --json",
        1,
        rf'{{"fault": "missing", .*"success": false, "error": "artifact {NOWHERE}: missing: .*"}}',
        "1 of what was",
    ),
    ("fds verify {s} gone", 1, "", "there is no tag 'gone'"),
    ("fds verify {s} gone --json", 1, r'{"operation": "verify", .*"success": false, .*}', "there is no tag 'gone'"),
]


@pytest.mark.parametrize(("command", "code", "out", "err"), ROWS, ids=[row[0] for row in ROWS])
def test(shell: Shell, command: str, code: int, out: str, err: str) -> None:
    found_code, found_out, found_err = shell(command)
    assert (found_code, found_err if not err else "") == (code, ""), found_err
    assert re.fullmatch(out, found_out.rstrip("\n")), found_out
    assert err in found_err


def test_artifact_alone_says_what_there_is(shell: Shell) -> None:
    code, out, err = shell("fds")
    assert code == 2
    assert all(verb in out + err for verb in ("put", "get", "ls", "stat", "tag", "rm", "verify", "gc"))


# ---- files and objects ----


def ref_of(shell: Shell, command: str) -> str:
    code, out, err = shell(command)
    assert (code, err) == (0, "")
    return out.strip()


def test_a_file_is_the_object_that_python_would_put(shell: Shell) -> None:
    assert ref_of(shell, "fds put {s} a.bin") == shell.store.put(b"a file")
    assert ref_of(shell, "fds put {s} array.npy --as npy") == shell.names["array"]
    assert ref_of(shell, "fds put {s} object.pickle --as pickle") == shell.names["pickled"]
    table = shell.store.get(ref_of(shell, "fds put {s} table.parquet --as parquet"))
    assert table.equals(TABLE)


def test_standard_input_is_put(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"raw bytes")))
    assert ref_of(shell, "fds put {s} - --tag piped") == shell.names["raw"]
    assert shell.store.resolve("piped") == shell.names["raw"]


READ: dict[str, Callable[[Path], Any]] = {
    "out.npy": np.load,
    "out.parquet": pq.read_table,
    "out.arrow": lambda path: pa.ipc.open_file(path).read_all(),
    "out.pickle": lambda path: pickle.loads(path.read_bytes()),
}


@pytest.mark.parametrize(
    ("command", "target", "expected"),
    [
        ("fds get {s} numbers out.npy", "out.npy", ARRAY),
        ("fds get {s} {table} out.parquet", "out.parquet", TABLE),
        ("fds get {s} {table} out.arrow", "out.arrow", TABLE),
        ("fds get {s} {pickled} out.pickle --as pickle --allow-pickle", "out.pickle", PICKLED),
    ],
    ids=["npy", "parquet", "arrow", "pickle"],
)
def test_an_artifact_becomes_a_file(shell: Shell, command: str, target: str, expected: Any) -> None:
    (shell.directory / target).write_bytes(b"what was there before")
    assert shell(command) == (0, "", "")
    found = READ[target](shell.directory / target)
    assert (found == expected).all() if isinstance(expected, np.ndarray) else found == expected


def test_a_file_that_cannot_be_written_whole_stays_as_it_was(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    (shell.directory / "out.npy").write_bytes(b"before")

    def fail(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", fail)
    code, _, err = shell("fds get {s} numbers out.npy")
    assert (code, "No space left" in err) == (1, True)
    assert (shell.directory / "out.npy").read_bytes() == b"before"
    assert not list(shell.directory.glob(".*"))


def refuse(name: str, *_: Any, **__: Any) -> None:
    raise errors.TagConflict("somebody else was faster", name)


def test_what_gets_no_tag_is_stored_and_its_ref_is_said(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ArtifactStore, "tag", lambda self, name, ref: refuse(name))
    code, out, err = shell("fds put {s} a.bin --tag x")
    assert (code, out.strip()) == (1, shell.store.prepare(b"a file").ref)
    assert "the tag 'x' is not set" in err
    code, out, _ = shell("fds put {s} a.bin --tag x --json")
    stored, failed = map(json.loads, out.splitlines())
    assert (code, stored["ref"], "tag" in stored) == (1, failed["ref"], False)
    assert (failed["operation"], failed["tag"], failed["success"]) == ("tag", "x", False)
    assert shell.store.get(stored["ref"]) == b"a file"


def test_nothing_is_stored_under_a_name_that_no_tag_can_have(shell: Shell) -> None:
    for name in ("../x", "b3:x", "''"):
        assert shell(f"fds put {{s}} a.bin --tag {name}")[0] == 1
    assert shell.store.prepare(b"a file").ref not in {entry.ref for entry in shell.store.list()}


@pytest.mark.parametrize("target", ["out.parquet", "-"])
def test_what_a_file_cannot_hold_is_a_failure(shell: Shell, target: str) -> None:
    shell.names["mixed"] = shell.store.put(pd.DataFrame({"x": [1, "one", None]}))
    shell.names["empty"] = shell.store.put(pa.table({"x": pa.array([{}], pa.struct([]))}))
    for name in ("mixed", "empty"):
        code, out, err = shell(f"fds get {{s}} {{{name}}} {target} --as parquet --allow-pickle")
        assert (code, out) == (1, "")
        assert f"{target}: not to be had as parquet: Arrow" in err
    assert not [*shell.directory.glob("out*"), *shell.directory.glob(".*")]


# ---- damage ----


def test_a_damaged_artifact_is_found_and_not_written(shell: Shell) -> None:
    found = shell.store.stat(shell.names["array"])
    root = Path(shell.store.url.removeprefix("file://"))
    for chunk in (root / "chunks").rglob("*"):
        if chunk.is_file():
            data = bytearray(chunk.read_bytes())
            data[-1] ^= 1
            chunk.write_bytes(data)
    assert found.chunks
    code, out, err = shell("fds get {s} numbers out.npy")
    assert (code, out) == (1, "")
    assert "is damaged" in err
    assert not (shell.directory / "out.npy").exists()
    code, out, err = shell("fds verify {s}")
    assert code == 1
    assert shell.names["array"] in out + err
    code, out, _ = shell("fds verify {s} --json")
    assert code == 1
    assert shell.names["array"] in {json.loads(line).get("ref") for line in out.splitlines()}
    assert shell("fds put {s} array.npy --as npy --rewrite")[1].strip() == shell.names["array"]
    assert shell("fds get {s} numbers out.npy") == (0, "", "")


def test_a_damaged_tag_hides_no_artifact(shell: Shell) -> None:
    (tag,) = Path(shell.store.url.removeprefix("file://"), "tags").iterdir()
    tag.write_bytes(b"{}")
    for command in ("fds ls {s}", "fds stat {s} {raw}"):
        code, out, err = shell(command)
        assert (code, shell.names["raw"] in out) == (0, True)
        assert "tags are not shown: tags/numbers: " in err
    assert shell("fds verify {s}")[0] == 1


def test_what_a_writer_says_cannot_steer_the_terminal() -> None:
    evil = "\x1b]0;gotcha\x07\n\u202e"
    assert printable(evil) == r"\x1b]0;gotcha\x07\n\u202e"
    stat = ArtifactStat(NOWHERE, evil, "arrow", (1, 1), None, ((evil, evil),), 1, 1, 1, 1, 0, {"raw": 1}, False, None)
    assert "\x1b" not in table(stat, [evil])


def test_a_tag_cannot_steer_the_terminal(shell: Shell) -> None:
    shell.store.tag("a\u202e\x9b31m", shell.names["raw"])
    for command in ("fds tag {s}", "fds ls {s}", "fds stat {s} {raw}"):
        code, out, _ = shell(command)
        assert code == 0
        assert r"a\u202e\x9b31m" in out


# ---- a bucket ----


@pytest.mark.servers("null", "seaweedfs")
def test_a_store_in_a_bucket(
    s3_server: RunningServer,
    bucket: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in (s3_server.env() | {"AWS_CONFIG_FILE": os.devnull}).items():
        monkeypatch.setenv(name, value)
    _fill(tmp_path / "here")
    monkeypatch.chdir(tmp_path / "here")
    shell = Shell(in_bucket(s3_server, bucket)(), tmp_path / "here", capsys)
    assert ref_of(shell, "fds put {s} array.npy --as npy --tag again") == shell.names["array"]
    assert shell("fds get {s} again out.npy") == (0, "", "")
    assert (np.load(tmp_path / "here/out.npy") == ARRAY).all()
    for command in ("fds ls -l {s}", "fds stat {s} again", "fds verify {s}", "fds gc {s}", "fds rm {s} {raw}"):
        assert shell(command)[0] == 0, command
    assert shell("fds stat {s} {raw}")[0] == 1
