"""The portable plane has what _native.pyi promises, by the same names, parameters and numbers."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path
from typing import Any

import pytest

import fastdatastore
from fastdatastore.engine.planes import portable

_STUB = ast.parse((Path(fastdatastore.__file__).parent / "_native.pyi").read_text())
# No part of a plane: the artifact store has fallbacks of its own for them (store/portable_*.py).
_STORES = ("cut", "shuffle", "unshuffle")
_FUNCTIONS = {node.name: node for node in _STUB.body if isinstance(node, ast.FunctionDef) and node.name not in _STORES}
_CLASSES = {node.name: node for node in _STUB.body if isinstance(node, ast.ClassDef)}
_CONSTANTS = [node.target.id for node in _STUB.body if isinstance(node, ast.AnnAssign) and node.value is None
              and isinstance(node.target, ast.Name)]  # fmt: skip
_METHODS = [
    (name, node)
    for name, owner in _CLASSES.items()
    if name not in ("Region", "Report")
    for node in owner.body
    if isinstance(node, ast.FunctionDef)
]


def parameters_of(function: Any) -> list[tuple[str, bool, object]]:
    """Name, whether it is positional only, and its default, of each but self."""
    return [
        (p.name, p.kind is p.POSITIONAL_ONLY, None if p.default is p.empty else p.default)
        for p in inspect.signature(function).parameters.values()
        if p.name != "self"
    ]


def parameters_in(node: ast.FunctionDef) -> list[tuple[str, bool, object]]:
    arguments = [*node.args.posonlyargs, *node.args.args]
    defaults = [None] * (len(arguments) - len(node.args.defaults)) + [
        ast.literal_eval(default) for default in node.args.defaults
    ]
    positional = len(node.args.posonlyargs)
    return [
        (argument.arg, index < positional, default)
        for index, (argument, default) in enumerate(zip(arguments, defaults, strict=True))
        if argument.arg not in ("self", "cls")
    ]


@pytest.mark.parametrize("name", _CONSTANTS)
def test_a_constant_is_the_same_number(name: str) -> None:
    native = pytest.importorskip("fastdatastore._native")
    assert getattr(portable, name) == getattr(native, name)


@pytest.mark.parametrize("name", _FUNCTIONS)
def test_a_function_takes_the_same_parameters(name: str) -> None:
    assert parameters_of(getattr(portable, name)) == parameters_in(_FUNCTIONS[name])


@pytest.mark.parametrize(("owner", "node"), _METHODS, ids=[f"{owner}.{node.name}" for owner, node in _METHODS])
def test_a_method_takes_the_same_parameters(owner: str, node: ast.FunctionDef) -> None:
    implemented = getattr(portable, owner)
    if any(isinstance(d, ast.Name) and d.id == "property" for d in node.decorator_list):
        assert isinstance(inspect.getattr_static(implemented, node.name), property)
        return
    function = implemented.__init__ if node.name == "__new__" else getattr(implemented, node.name)
    expected, got = parameters_in(node), parameters_of(function)
    if (owner, node.name) == ("Queue", "cancel"):  # its default says "all"; what it is does not matter
        expected, got = [(*p[:2], None) for p in expected], [(*p[:2], None) for p in got]
    assert got == expected


def test_a_report_has_the_same_fields() -> None:
    native = pytest.importorskip("fastdatastore._native")
    fields = tuple(node.name for node in _CLASSES["Report"].body if isinstance(node, ast.FunctionDef))
    assert portable.Report._fields == native.Report.__match_args__ == fields


def test_nothing_is_missing() -> None:
    assert {*_CONSTANTS, *_FUNCTIONS, *_CLASSES} == set(portable.__all__)
