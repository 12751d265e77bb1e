"""`fds ls|cp|get|put|cat|rm|stat|sync|presign`, each test named by the command that a user types.

A row: the command, the exit code, what it prints to stdout (the order of transfers is free) or a piece of its stderr.
"{b}" is the bucket; the working directory holds what `_DATA` says, the bucket the same below "data/".
"""

from __future__ import annotations

import json
import os
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fastdatastore import S3
from fastdatastore.cli.main import main
from fastdatastore.engine.client import Client
from fastdatastore.testing.servers import RunningServer
from tests.support.clients import client_of, s3_of

pytestmark = pytest.mark.servers("null", "seaweedfs")

_DATA = {"a.csv": b"a,b\n", "b.txt": b"text", "x/c.csv": b"c\n", "x/y/d.bin": bytes(range(256)) * 4096}


class Shell:
    """Runs commands in a working directory of their own, in this process."""

    def __init__(self, bucket: str, directory: Path, s3: S3, capture: pytest.CaptureFixture[str]) -> None:
        self.bucket = bucket
        self.directory = directory
        self.s3 = s3
        self._capture = capture

    def __call__(self, command: str) -> tuple[int, list[str], str]:
        """The exit code, the sorted lines of stdout, and stderr."""
        name, *arguments = shlex.split(command.format(b=self.bucket))
        assert name == "fds"
        code = main(arguments)
        out, err = self._capture.readouterr()
        assert "Traceback" not in err
        return code, sorted(out.splitlines()), err

    def objects(self) -> dict[str, bytes | None]:
        """All that the bucket holds."""
        return {got.key: got.blob for got in self.s3.get_many([o.key for o in self.s3.list_recursive()])}

    def files(self, directory: str = ".") -> dict[str, bytes]:
        """All that is below a directory."""
        root = self.directory / directory
        return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def _write(directory: Path, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_bytes(content)


@pytest.fixture
def shell(
    s3_server: RunningServer,
    bucket: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Shell:
    """A working directory and a bucket with the same content."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in (s3_server.env() | {"AWS_CONFIG_FILE": os.devnull, "TZ": "UTC"}).items():
        monkeypatch.setenv(name, value)
    here = tmp_path / "here"
    _write(here, {f"data/{name}": content for name, content in _DATA.items()})
    monkeypatch.chdir(here)
    client: Client = client_of(s3_server)
    s3 = s3_of(client, bucket, tmp_path)
    s3.put_many((f"data/{name}", content) for name, content in _DATA.items())
    return Shell(bucket, here, s3, capsys)


def _name(line: str) -> list[str]:
    return line.split(" ")[-1:]


def _check(shell: Shell, command: str, code: int, wanted: list[str] | str) -> None:
    got, out, err = shell(command)
    assert got == code, err
    if isinstance(wanted, str):
        assert wanted.format(b=shell.bucket) in err
        return
    assert len(out) == len(wanted), out
    for line, pattern in zip(sorted(out, key=_name), sorted(wanted, key=_name), strict=True):
        assert re.fullmatch(pattern.format(b=shell.bucket), line), (line, pattern)


_TIME = r"20\d\d-\d\d-\d\d \d\d:\d\d:\d\d"

LS: list[tuple[str, int, list[str] | str]] = [
    ("fds ls s3://{b}", 0, [" {{27}}PRE data/"]),
    ("fds ls s3://{b}/data", 0, [" {{27}}PRE data/"]),
    ("fds ls s3://{b}/data/", 0, [" {{27}}PRE x/", _TIME + " {{10}}4 a.csv", _TIME + " {{10}}4 b.txt"]),
    ("fds ls s3://{b}/data/a", 0, [_TIME + " {{10}}4 a.csv"]),
    ("fds ls --recursive s3://{b}/data/x", 0, [_TIME + " +2 data/x/c.csv", _TIME + " +1048576 data/x/y/d.bin"]),
    ("fds ls 's3://{b}/*.csv'", 0, [_TIME + " +4 data/a.csv", _TIME + " +2 data/x/c.csv"]),
    ("fds ls --human-readable s3://{b}/data/x/y/", 0, [_TIME + "      1 MiB d.bin"]),
    ("fds ls -r --summarize s3://{b}/data/x/c", 0, [_TIME + ".*", "", "Total Objects: 1", "   Total Size: 2"]),
    ("fds ls s3://{b}/nothing", 1, []),
    ("fds ls s3://no-such-bucket-here", 1, "NoSuchBucket"),
]


@pytest.mark.parametrize(("command", "code", "wanted"), LS, ids=[row[0] for row in LS])
def test_ls(shell: Shell, command: str, code: int, wanted: list[str] | str) -> None:
    _check(shell, command, code, wanted)


def test_fds_ls(shell: Shell) -> None:
    code, out, _ = shell("fds ls")
    assert code == 0
    assert shell.bucket in {line.split()[-1] for line in out}


def test_fds_ls_json(shell: Shell) -> None:
    _, out, _ = shell("fds ls --json s3://{b}/data/")
    found = [json.loads(line) for line in out]
    assert [(f.get("key"), f.get("size"), f.get("prefix")) for f in found] == [
        ("data/a.csv", 4, None),
        ("data/b.txt", 4, None),
        (None, None, "data/x/"),
    ]
    assert found[0]["modified"].endswith("Z")


Files = dict[str, bytes]
_ALL = {f"new/{name}": content for name, content in _DATA.items()}
_CSV = {name: content for name, content in _DATA.items() if name.endswith(".csv")}

UP: list[tuple[str, Files]] = [
    ("fds cp data/a.csv s3://{b}/new", {"new": _DATA["a.csv"]}),
    ("fds cp data/a.csv s3://{b}/new/", {"new/a.csv": _DATA["a.csv"]}),
    ("fds cp data/a.csv s3://{b}", {"a.csv": _DATA["a.csv"]}),
    ("fds put data/a.csv data/b.txt s3://{b}/new/", {f"new/{n}": _DATA[n] for n in ("a.csv", "b.txt")}),
    ("fds cp --recursive data s3://{b}/new", _ALL),
    ("fds cp -r data/ s3://{b}/new/", _ALL),
    ("fds put -r data s3://{b}/new --exclude '*' --include '*.csv'", {f"new/{n}": c for n, c in _CSV.items()}),
    ("fds put -r data s3://{b}/new --exclude 'x/*'", {f"new/{n}": _DATA[n] for n in ("a.csv", "b.txt")}),
    ("fds cp s3://{b}/data/a.csv s3://{b}/new", {"new": _DATA["a.csv"]}),
    ("fds cp -r s3://{b}/data s3://{b}/new", _ALL),
    ("fds cp 's3://{b}/data/*.csv' s3://{b}/new/", {f"new/{n}": c for n, c in _CSV.items()}),
    ("fds sync data s3://{b}/new", _ALL),
    ("fds sync s3://{b}/data s3://{b}/new", _ALL),
    ("fds sync data s3://{b}/data", {}),
    ("fds cp --dry-run data/a.csv s3://{b}/new", {}),
]


@pytest.mark.parametrize(("command", "made"), UP, ids=[row[0] for row in UP])
def test_objects_that_are_made(shell: Shell, command: str, made: Files) -> None:
    before = shell.objects()
    code, out, err = shell(command)
    assert (code, err) == (0, "")
    assert shell.objects() == before | made
    assert len(out) == len(made) or "--dry-run" in command


DOWN: list[tuple[str, Files]] = [
    ("fds cp s3://{b}/data/a.csv new", {"new": _DATA["a.csv"]}),
    ("fds cp s3://{b}/data/a.csv new/", {"new/a.csv": _DATA["a.csv"]}),
    ("fds cp s3://{b}/data/a.csv .", {"a.csv": _DATA["a.csv"]}),
    ("fds get s3://{b}/data/x/y/d.bin", {"d.bin": _DATA["x/y/d.bin"]}),
    ("fds get s3://{b}/data/a.csv deep/er/new", {"deep/er/new": _DATA["a.csv"]}),
    ("fds cp --recursive s3://{b}/data new", _ALL),
    ("fds get 's3://{b}/data/*.csv' new", {f"new/{n}": c for n, c in _CSV.items()}),
    ("fds get 's3://{b}/data/?.csv' new", {"new/a.csv": _DATA["a.csv"]}),
    ("fds sync s3://{b}/data new", _ALL),
    ("fds sync s3://{b}/data new --exclude '*.csv'", {n: c for n, c in _ALL.items() if not n.endswith(".csv")}),
    ("fds sync s3://{b}/data new --dry-run", {}),
]


@pytest.mark.parametrize(("command", "made"), DOWN, ids=[row[0] for row in DOWN])
def test_files_that_are_made(shell: Shell, command: str, made: Files) -> None:
    before = shell.files()
    code, _, err = shell(command)
    assert (code, err) == (0, "")
    assert shell.files() == before | made


RM: list[tuple[str, set[str]]] = [
    ("fds rm s3://{b}/data/a.csv", {"a.csv"}),
    ("fds rm s3://{b}/data/a.csv s3://{b}/data/b.txt", {"a.csv", "b.txt"}),
    ("fds rm s3://{b}/data/never-was", set()),
    ("fds rm --recursive s3://{b}/data/x", {"x/c.csv", "x/y/d.bin"}),
    ("fds rm -r s3://{b}", set(_DATA)),
    ("fds rm 's3://{b}/data/*.csv'", set(_CSV)),
    ("fds rm -r s3://{b}/data --exclude '*.csv'", set(_DATA) - set(_CSV)),
    ("fds rm -r s3://{b}/data --dry-run", set()),
]


@pytest.mark.parametrize(("command", "gone"), RM, ids=[row[0] for row in RM])
def test_rm(shell: Shell, command: str, gone: set[str]) -> None:
    code, out, err = shell(command)
    assert (code, err) == (0, "")
    assert set(shell.objects()) == {f"data/{name}" for name in set(_DATA) - gone}
    if "--dry-run" in command:
        assert out == sorted(f"(dryrun) delete: s3://{shell.bucket}/data/{name}" for name in _DATA)


WRONG = [
    ("fds cp data s3://{b}/new", 2, "is a directory; add --recursive"),
    ("fds cp -r data/a.csv s3://{b}/new", 2, "is a file; leave out --recursive"),
    ("fds cp s3://{b}/data/ .", 2, "add --recursive"),
    ("fds cp data/a.csv data/b.txt", 2, "must be on S3"),
    ("fds cp data/a.csv data/b.txt s3://{b}/new", 2, "a target that ends in /"),
    ("fds cp 's3://{b}/data/*' s3://{b}/new", 2, "a target that ends in /"),
    ("fds cp 's3://{b}/data/*' data/a.csv", 2, "need a directory as target"),
    ("fds cp -r 's3://{b}/data/*' new", 2, "not both"),
    ("fds cp data/a.csv https://{b}/new", 2, "s3://bucket/key is needed"),
    ("fds cp - -", 2, "one source or the target"),
    ("fds cp - s3://{b}/new/", 2, "name the object"),
    ("fds cp --dry-run s3://{b}/data/a.csv -", 2, "which is the target"),
    ("fds cp '' s3://{b}/new/", 2, "must not be empty"),
    ("fds cp data/a.csv s3://{b}/new --sse-kms-key-id x", 2, "kms_key_id needs encryption"),
    ("fds cp data/a.csv s3://{b}/new --endpoint-url nonsense", 2, "endpoint must be http"),
    ("fds get data/a.csv", 2, "get downloads s3:// URLs"),
    ("fds get s3://{b}/a s3://{b}/b", 2, "cp copies within S3"),
    ("fds put data/a.csv there", 2, "put uploads to s3:// URLs"),
    ("fds put s3://{b}/a s3://{b}/b", 2, "cp copies within S3"),
    ("fds rm s3://{b}", 2, "add --recursive"),
    ("fds rm data/a.csv", 2, "s3://bucket/key is needed"),
    ("fds sync data new", 2, "must be on S3"),
    ("fds sync nowhere s3://{b}/new", 2, "nowhere is no directory"),
    ("fds stat s3://{b}", 2, "is a bucket"),
    ("fds presign s3://{b}/key --expires-in 0", 2, "expires must be"),
    ("fds cp data/never-was s3://{b}/new", 1, "fds: upload: data/never-was to s3://{b}/new: there is no file"),
    ("fds cp s3://{b}/never/was new", 1, "NoSuchKey"),
    ("fds cp s3://{b}/never/was s3://{b}/new", 1, "fds: copy: s3://{b}/never/was to s3://{b}/new: "),
    ("fds cp -r s3://{b}/never new", 1, "nothing that is wanted was found"),
    ("fds cp 's3://{b}/*.never' new", 1, "nothing that is wanted was found"),
    ("fds cat s3://{b}/never/was", 1, "NoSuchKey"),
    ("fds stat s3://{b}/never/was", 1, "NoSuchKey"),
]


@pytest.mark.parametrize(("command", "code", "says"), WRONG, ids=[row[0] for row in WRONG])
def test_what_cannot_be_done_is_said(shell: Shell, command: str, code: int, says: str) -> None:
    before = shell.files()
    _check(shell, command, code, says)
    assert shell.files() == before


def test_fds_cp_names_and_counts_what_failed(shell: Shell) -> None:
    (shell.directory / "data" / "b.txt").unlink()
    (shell.directory / "data" / "b.txt").symlink_to("nowhere")
    code, out, err = shell("fds cp -r data s3://{b}/new")
    assert (code, len(out)) == (1, 3)
    assert "fds: cannot read data/b.txt: No such file or directory\nfds: 1 of 4 failed\n" in err


def test_fds_cp_json(shell: Shell) -> None:
    code, out, _ = shell("fds cp --json data/a.csv data/never-was s3://{b}/new/")
    assert code == 1
    good, bad = sorted((json.loads(line) for line in out), key=lambda row: row["success"], reverse=True)
    assert good["operation"] == "upload"
    assert (good["source"], good["target"]) == ("data/a.csv", f"s3://{shell.bucket}/new/a.csv")
    assert "there is no file" in bad["error"]


def test_fds_cp_quiet(shell: Shell) -> None:
    assert shell("fds cp --quiet -r data s3://{b}/new") == (0, [], "")


def test_fds_cp_guesses_the_content_type(shell: Shell) -> None:
    shell("fds cp data/a.csv s3://{b}/guessed.csv")
    shell("fds cp data/a.csv s3://{b}/said --content-type text/x-own")
    shell("fds cp s3://{b}/said s3://{b}/copied")
    types = [shell.s3.info(key).content_type for key in ("guessed.csv", "said", "copied")]
    assert types == ["text/csv", "text/x-own", "text/x-own"]


def test_fds_cp_follows_links_but_not_in_circles(shell: Shell) -> None:
    (shell.directory / "data" / "x" / "loop").symlink_to(shell.directory / "data")
    (shell.directory / "data" / "link").symlink_to("a.csv")
    code, out, err = shell("fds cp -r data s3://{b}/new")
    assert code == 1
    assert "leads back to a directory above it" in err
    assert len(out) == 5


HOSTILE = ["../escaped", "a/../../escaped", "/absolute", "a//b"]


def test_fds_cp_keys_never_lead_out_of_the_target(shell: Shell, s3_server: RunningServer) -> None:
    if s3_server.name not in ("null", "ceph"):
        pytest.skip(f"{s3_server.name} refuses such keys, or takes them for others")
    client = shell.s3._client
    client.run_all([client.put(shell.bucket, f"hostile/{name}", b"x") for name in [*HOSTILE, "good"]])
    code, out, err = shell("fds cp -r s3://{b}/hostile new")
    assert (code, len(out)) == (1, 1)
    assert err.count("cannot be the name of a file below new") == len(HOSTILE)
    assert shell.files("new") == {"good": b"x"}
    assert not (shell.directory / "escaped").exists()


def test_fds_stat(shell: Shell) -> None:
    code, out, _ = shell("fds stat s3://{b}/data/a.csv")
    facts: dict[str, Any] = dict(line.split(maxsplit=1) for line in out)
    assert code == 0
    assert (facts["url"], facts["size"]) == (f"s3://{shell.bucket}/data/a.csv", "4")
    _, out, _ = shell("fds stat --json s3://{b}/data/a.csv s3://{b}/data/b.txt")
    assert {json.loads(line)["size"] for line in out} == {4}


@pytest.mark.parametrize("command", ["fds stat --json s3://{b}/gone", "fds ls --json s3://{b}-elsewhere"])
def test_fds_json_tells_failures(shell: Shell, command: str) -> None:
    code, out, err = shell(command)
    (told,) = map(json.loads, out)
    assert (code, told["success"]) == (1, False)
    assert told["error"] in err


# ---- sync ----


@pytest.fixture
def synced(shell: Shell) -> Shell:
    """The directory `new` is a download of the bucket's `data`."""
    assert shell("fds sync s3://{b}/data new")[0] == 0
    return shell


@pytest.mark.parametrize("command", ["fds sync s3://{b}/data new", "fds sync new s3://{b}/data"])
def test_fds_sync_again_does_nothing(synced: Shell, command: str) -> None:
    assert synced(command) == (0, [], "")


def test_fds_sync_copies_what_has_changed(synced: Shell) -> None:
    _write(synced.directory / "new", {"a.csv": b"longer than before", "extra": b"new"})
    os.utime(synced.directory / "new" / "x" / "c.csv", (4e9, 4e9))
    assert synced("fds sync --size-only --dry-run new s3://{b}/data")[1] == [
        f"(dryrun) upload: new/a.csv to s3://{synced.bucket}/data/a.csv",
        f"(dryrun) upload: new/extra to s3://{synced.bucket}/data/extra",
    ]
    code, out, _ = synced("fds sync new s3://{b}/data")
    assert (code, len(out)) == (0, 3)
    assert synced.objects()["data/a.csv"] == b"longer than before"


def test_fds_sync_delete(synced: Shell) -> None:
    (synced.directory / "new" / "a.csv").unlink()
    assert synced("fds sync new s3://{b}/data") == (0, [], "")
    assert synced("fds sync --delete --exclude '*.csv' new s3://{b}/data") == (0, [], "")
    assert synced("fds sync --delete --dry-run new s3://{b}/data")[1] == [
        f"(dryrun) delete: s3://{synced.bucket}/data/a.csv"
    ]
    assert "data/a.csv" in synced.objects()
    assert synced("fds sync --delete new s3://{b}/data")[1] == [f"delete: s3://{synced.bucket}/data/a.csv"]
    assert "data/a.csv" not in synced.objects()
    _write(synced.directory / "new", {"extra/file": b"x"})
    assert synced("fds sync --delete s3://{b}/data new")[1] == ["delete: new/extra/file"]
    assert "extra/file" not in synced.files("new")


def test_fds_sync_delete_of_a_source_with_nothing_in_it_deletes_nothing(synced: Shell) -> None:
    code, out, err = synced("fds sync --delete s3://{b}/misspelt new")
    assert (code, out) == (1, [])
    assert "nothing was deleted below new" in err
    assert synced.files("new") == _DATA


def test_fds_sync_delete_deletes_nothing_after_a_failure(synced: Shell) -> None:
    (synced.directory / "new" / "a.csv").unlink()
    (synced.directory / "new" / "b.txt").unlink()
    (synced.directory / "new" / "b.txt").symlink_to("nowhere")
    code, _, err = synced("fds sync --delete new s3://{b}/data")
    assert code == 1
    assert "because not all could be copied" in err
    assert "data/a.csv" in synced.objects()


# ---- many ----


def test_fds_cp_and_rm_of_more_than_a_page(shell: Shell) -> None:
    many: Callable[[int], str] = lambda i: f"many/{i // 100:02}/{i:04}"  # noqa: E731
    _write(shell.directory, {many(i): b"%d" % i for i in range(1200)})
    code, out, _ = shell("fds cp -r many s3://{b}/many")
    assert (code, len(out)) == (0, 1200)
    code, out, _ = shell("fds cp -r s3://{b}/many back")
    assert (code, len(out)) == (0, 1200)
    assert shell.files("back") == shell.files("many")
    code, out, _ = shell("fds rm -r s3://{b}/many")
    assert (code, len(out)) == (0, 1200)
    assert set(shell.objects()) == {f"data/{name}" for name in _DATA}
