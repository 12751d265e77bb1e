"""Fixtures for what must hold of both data planes. Without aiobotocore the portable half is skipped, loudly."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

import pytest

from tests.engine.planes.caller import Caller

_WHY = (
    "aiobotocore is not installed: THE PORTABLE DATA PLANE IS NOT TESTED; run: python -m pip install aiobotocore awscrt"
)


@pytest.fixture(params=["native", "portable"])
def plane_module(request: pytest.FixtureRequest) -> Any:
    """The module under test."""
    if request.param == "native":
        return pytest.importorskip("fastdatastore._native")
    if find_spec("aiobotocore") is None:
        pytest.skip(_WHY)
    from fastdatastore.engine.planes import portable

    return portable


@pytest.fixture
def caller(plane_module: Any) -> Iterator[Caller]:
    """A plane and a queue on it."""
    caller = Caller(plane_module)
    yield caller
    caller.plane.close()


@pytest.hookimpl(wrapper=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> Iterator[None]:
    """A skip is easily overlooked."""
    if any(_WHY in str(report.longrepr) for report in terminalreporter.stats.get("skipped", ())):
        terminalreporter.section("data planes")
        terminalreporter.write_line(f"portable   NOT RUN: {_WHY}", red=True, bold=True)
    return (yield)
