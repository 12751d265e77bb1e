"""Which part of an object it is that cannot be pickled, and the path to it."""

from __future__ import annotations

import copyreg
import dataclasses
import dis
import functools
import sys
import types
from collections.abc import Callable, Iterator
from typing import Any

# Characters; a longer path is shown by its two ends.
_LONGEST_PATH = 400
_LONGEST_KEY = 60

_PLAIN_CONTAINERS = (dict, list, tuple, set, frozenset)
# What the class of an ABC has for itself, and cloudpickle leaves out.
_PRIVATE = frozenset({"_abc_impl"})

Part = tuple[str, Any]


def is_too_deep(error: BaseException) -> bool:
    """Whether a pickler gave up because objects hold each other over too many levels."""
    return isinstance(error, RecursionError) or isinstance(error.__cause__, RecursionError)


def culprit(obj: Any, failure: Callable[[Any], Exception | None]) -> tuple[str, Any]:
    """The path to the innermost part that cannot be pickled, at most some hundred characters, and that part.

    Args:
        failure: Why an object on its own cannot be pickled; None if it can.
    """
    path = ""
    part = obj
    seen = {id(obj): obj}  # the objects, too: another one must not get the id of one that is gone
    while found := _failing(part, seen, failure):
        step, part = found
        seen[id(part)] = part
        path += step
    if len(path) > _LONGEST_PATH:
        path = f"{path[: _LONGEST_PATH // 2]} … {path[-_LONGEST_PATH // 2 :]}"
    return path, part


def _failing(obj: Any, seen: dict[int, Any], failure: Callable[[Any], Exception | None]) -> Part | None:
    """The first part of an object that cannot be pickled."""
    try:
        for step, part in _parts(obj):
            if id(part) not in seen and (error := failure(part)) and not is_too_deep(error):
                return step, part
    except Exception:  # an object may raise whatever it likes when it is looked into
        return None
    return None


def _parts(obj: Any) -> Iterator[Part]:
    """What an object holds, each with how to get there; what users know first."""
    if isinstance(obj, dict):
        for key, value in obj.items():
            yield f".keys()[{_short(key)}]", key
            yield f"[{_short(key)}]", value
    elif isinstance(obj, (list, tuple)):
        yield from _numbered("", obj)
    elif isinstance(obj, (set, frozenset)):
        for value in obj:
            yield f"{{{_short(value)}}}", value
    elif isinstance(obj, types.FunctionType):
        yield from _function(obj)
    elif isinstance(obj, type):
        yield from _class(obj)
    elif isinstance(obj, (types.MethodType, types.BuiltinMethodType)):
        yield ".__self__", obj.__self__
    elif isinstance(obj, functools.partial):
        yield from ((".func", obj.func), (".args", obj.args), (".keywords", obj.keywords))
    elif isinstance(obj, BaseException):
        yield ".args", obj.args
    elif "pandas" in sys.modules and _is_of(obj, "pandas", "DataFrame", "Series", "Index"):
        yield from _pandas(obj)
    elif "numpy" in sys.modules and _is_of(obj, "numpy", "ndarray", "void"):
        yield from _numpy(obj)
    if type(obj) not in _PLAIN_CONTAINERS and not isinstance(obj, (type, types.ModuleType, types.FunctionType)):
        yield from _reduced(obj)


def _numbered(place: str, values: Any) -> Iterator[Part]:
    for index, value in enumerate(values):
        yield f"{place}[{index}]", value


def _attributes(values: dict[str, Any]) -> Iterator[Part]:
    for name, value in values.items():
        yield f".{name}", value


def _function(function: types.FunctionType) -> Iterator[Part]:
    """What goes with a function by value."""
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            yield f".__closure__[{name!r}]", cell.cell_contents
        except ValueError:  # nothing is in it yet
            continue
    yield from _numbered(".__defaults__", function.__defaults__ or ())
    for name, value in (function.__kwdefaults__ or {}).items():
        yield f".__kwdefaults__[{name!r}]", value
    for name in _global_names(function.__code__):
        if name in function.__globals__:
            yield f".__globals__[{name!r}]", function.__globals__[name]
    yield from _attributes(function.__dict__)


def _global_names(code: types.CodeType) -> Iterator[str]:
    for instruction in dis.get_instructions(code):
        if instruction.opname.endswith("_GLOBAL"):
            yield instruction.argval
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _global_names(constant)


def _class(kind: type) -> Iterator[Part]:
    for name, value in vars(kind).items():
        is_own = not name.startswith("__") and name not in _PRIVATE
        if is_own or isinstance(value, types.FunctionType):
            yield f".{name}", value


def _is_of(obj: Any, module: str, *names: str) -> bool:
    return isinstance(obj, tuple(getattr(sys.modules[module], name) for name in names))


def _pandas(obj: Any) -> Iterator[Part]:
    """Columns by their names, rows by their numbers; of NumPy's dtypes only objects can fail."""
    if obj.ndim == 2:
        for at, name in enumerate(obj.columns):
            if getattr(obj.dtypes.iloc[at], "hasobject", True):
                yield f"[{_short(name)}]", obj.iloc[:, at]
        yield from ((".index", obj.index), (".columns", obj.columns))
        return
    is_series = hasattr(obj, "index")
    if getattr(obj.dtype, "hasobject", False):
        yield from _numbered(".iloc" if is_series else "", obj)
    else:
        yield ".array", obj.array
    if is_series:
        yield ".index", obj.index


def _numpy(obj: Any) -> Iterator[Part]:
    if not obj.dtype.hasobject:
        return
    if obj.dtype.names and not obj.ndim:
        for name in obj.dtype.names:
            yield f"[{name!r}]", obj[name]
    else:
        numpy = sys.modules["numpy"]
        for index, value in numpy.ndenumerate(obj.view(numpy.ndarray)):
            yield f"[{', '.join(map(str, index)) or ()}]", value


def _reduced(obj: Any) -> Iterator[Part]:
    """What a pickle would hold of it."""
    try:
        made = obj.__reduce_ex__(4)
    except Exception:
        yield from _attributes(getattr(obj, "__dict__", {}))
        return
    if not isinstance(made, tuple):  # but a name
        return
    function, arguments, state, items, pairs = (*made, None, None, None)[:5]
    named = _named(obj, state)
    if named is None:
        yield ".__reduce_ex__(4)[2]", state
    else:
        yield from _attributes(named)
    yield from _numbered("", items or ())
    for key, value in pairs or ():
        yield f".keys()[{_short(key)}]", key
        yield f"[{_short(key)}]", value
    for index, value in enumerate(arguments):
        is_class = index == 0 and function in (copyreg.__newobj__, copyreg.__newobj_ex__)  # type: ignore[attr-defined]
        yield ".__class__" if is_class else f".__reduce_ex__(4)[1][{index}]", value


def _named(obj: Any, state: Any) -> dict[str, Any] | None:
    """The attributes that a state consists of; None if it is something else."""
    if isinstance(state, dict):
        return {name: value for name, value in state.items() if name != "_mgr"}  # pandas' columns
    if isinstance(state, tuple) and len(state) == 2 and all(isinstance(half, (dict, type(None))) for half in state):
        return {**(state[0] or {}), **(state[1] or {})}  # of an object with slots
    if isinstance(state, list) and dataclasses.is_dataclass(obj):  # a frozen one with slots
        names = [field.name for field in dataclasses.fields(obj)]
        return dict(zip(names, state, strict=True)) if len(names) == len(state) else None
    return None


def _short(value: Any) -> str:
    try:
        text = repr(value)
    except Exception:
        return f"<{type(value).__qualname__}>"
    return text if len(text) <= _LONGEST_KEY else f"{text[: _LONGEST_KEY - 3]}..."
