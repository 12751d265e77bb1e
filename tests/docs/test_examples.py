"""The examples of the documentation run."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fastdatastore.testing import servers

DOCS = Path(__file__).parents[2] / "docs"


def run_examples(document: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Runs all Python of a document, one after the other, against a null server; returns the names that it made."""
    code = "\n".join(re.findall(r"^```python\n(.*?)^```$", (DOCS / document).read_text(), re.MULTILINE | re.DOTALL))
    names: dict[str, Any] = {}
    with servers.start("null") as server:
        server.create_bucket("my-bucket")
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        monkeypatch.setenv("AWS_REGION", server.region)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", server.access_key)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", server.secret_key)
        exec(compile(code, document, "exec"), names)
    return names


def test_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    names = run_examples("results.md", monkeypatch)
    assert (names["buffer"][:100] == np.arange(1, 101)).all()
    assert names["total"] == sum(range(64)) * 100_000
    assert (tmp_path / "data" / "7.bin").read_bytes() == bytes([7]) * 100_000
    assert "1 of 1 objects, 8,000,000 bytes" in capsys.readouterr().out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "model"]


def test_artifacts(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    names = run_examples("artifacts.md", monkeypatch)
    assert names["found"].schema == (("x", "float64"), ("even", "bool"))
    assert len(names["arrays"]) == 100
    said = capsys.readouterr().out
    assert "this artifact was pickled" in said
    assert "the tag 'frames/latest' is not set" in said
    assert "pandas.DataFrame (1000000, 2)" in said
