"""README.md, the list of faults, is complete, and each test that it names is there and says the number of its fault."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parent.parent
LIST = Path(__file__).with_name("README.md")
NATIVE = TESTS.parent / "native" / "tests"
NUMBERS = range(1, 67)

_ROW = re.compile(r"\| (?P<fault>[^|]+) \| [^|]+ \| [^|]+ \| (?P<tests>[^|]+) \|")
_NAMED = re.compile(r"(?<!C: )`(\w+)`")
_NAMED_IN_C = re.compile(r"C: `(\w+)`")
_ELSEWHERE = ("pending: ", "not here: ")


@cache
def rows() -> dict[str, str]:
    """Fault → what stands in the column of its tests."""
    found = [match for line in LIST.read_text().splitlines() if (match := _ROW.fullmatch(line))]
    listed = {match["fault"].strip(): match["tests"].strip() for match in found[1:]}  # the first is the head
    assert len(listed) == len(found) - 1, "a fault is listed twice"
    return listed


@cache
def marked() -> dict[str, set[str]]:
    """Fault → the tests that are marked with it, anywhere."""
    found: dict[str, set[str]] = {}
    for path in sorted(TESTS.rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                for fault in _faults_of(node):
                    found.setdefault(fault, set()).add(node.name)
    return found


def _faults_of(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    calls = [
        node for decorator in function.decorator_list for node in ast.walk(decorator) if isinstance(node, ast.Call)
    ]
    marks = [call for call in calls if ast.unparse(call.func) == "pytest.mark.fault"]
    return [str(ast.literal_eval(argument)) for mark in marks for argument in mark.args]


def test_every_number_is_listed() -> None:
    numbers = [int(fault) for fault in rows() if fault.isdigit()]
    assert numbers == list(NUMBERS)


def test_every_fault_has_a_test_or_a_reason() -> None:
    bare = {
        fault: tests
        for fault, tests in rows().items()
        if not tests.startswith(_ELSEWHERE) and not _NAMED.search(tests) and not _NAMED_IN_C.search(tests)
    }
    assert bare == {}


def test_what_is_pending_or_elsewhere_has_no_test_yet() -> None:
    assert [fault for fault, tests in rows().items() if tests.startswith(_ELSEWHERE) and fault in marked()] == []


@pytest.mark.parametrize("fault", rows())
def test_the_tests_that_are_named_are_there_and_say_the_number(fault: str) -> None:
    tests = rows()[fault]
    if not tests.startswith(_ELSEWHERE):
        assert set(_NAMED.findall(tests)) <= marked().get(fault, set())
    sources = "".join(path.read_text() for path in NATIVE.glob("test_*.c"))
    assert [name for name in _NAMED_IN_C.findall(tests) if f"static void {name}(void) {{" not in sources] == []


def test_every_mark_is_of_a_fault_in_the_list() -> None:
    assert set(marked()) <= set(rows())
