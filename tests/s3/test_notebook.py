"""progress=True in a notebook's kernel: one output of the cell, replaced as things go on."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import pytest

from fastdatastore import S3
from fastdatastore.config import MIB

pytest.importorskip("IPython", reason="NOT TESTED: a notebook's bar needs IPython")


@pytest.fixture
def outputs() -> Iterator[list[tuple[dict[str, str], bool]]]:
    """What a cell's output area is told: (content, whether it replaces what was there)."""
    from IPython.core.displaypub import CapturingDisplayPublisher
    from IPython.core.interactiveshell import InteractiveShell

    shell = InteractiveShell.instance()
    shell.kernel = object()
    shell.display_pub = publisher = CapturingDisplayPublisher()
    heard: list[tuple[dict[str, str], bool]] = []
    publisher.outputs = _Outputs(heard)
    yield heard
    InteractiveShell.clear_instance()


class _Outputs(list[Any]):
    def __init__(self, heard: list[tuple[dict[str, str], bool]]) -> None:
        self._heard = heard

    def append(self, output: dict[str, Any]) -> None:
        self._heard.append((output["data"], output["update"]))


def test_a_cell_shows_one_bar(
    s3: S3, outputs: list[tuple[dict[str, str], bool]], capsys: pytest.CaptureFixture[str]
) -> None:
    s3.put("key", bytes(9 * MIB))
    s3.get("key", progress=True)
    assert [update for _, update in outputs] == [False] + [True] * (len(outputs) - 1)
    assert "1 of 1 objects" in outputs[-1][0]["text/plain"]
    assert "100%" in outputs[-1][0]["text/plain"]
    assert capsys.readouterr().err == ""
    assert "IPython" in sys.modules
