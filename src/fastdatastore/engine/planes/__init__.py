"""The two data planes behind one interface, and the choice between them.

`_native.pyi` describes the interface: `select()` returns the module that has it. "native" is the module written in C;
"portable" is written in Python and runs where the native module cannot be loaded, or through an HTTP proxy.
"""

from __future__ import annotations

import _thread
import logging
import os
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType

from fastdatastore.engine.planes.proxies import proxy_for, proxy_variable
from fastdatastore.errors import ConfigurationError

__all__ = ["proxy_for", "proxy_variable", "select"]

_log = logging.getLogger("fastdatastore")


def select(url: str = "") -> ModuleType:
    """The data plane for an endpoint.

    FDS_ENGINE=native or portable decides; without it the plane is native, but for an endpoint behind a proxy, and where
    the native module cannot be loaded.

    Args:
        url: The endpoint's, such as "https://s3.eu-west-1.amazonaws.com"; "" asks about no proxy.

    Raises:
        ConfigurationError: FDS_ENGINE or a proxy's variable is wrong, or the plane is not installed.
    """
    engine = os.environ.get("FDS_ENGINE", "").strip().lower()
    if engine not in ("", "native", "portable"):
        raise ConfigurationError(
            f"FDS_ENGINE must be native or portable, got {engine!r}; unset it for the best of both"
        )
    if engine == "portable":
        return _portable("FDS_ENGINE=portable asks for it")
    proxied = bool(url) and proxy_for(url) is not None
    native = _native()
    if engine == "native":
        if isinstance(native, ImportError):
            raise ConfigurationError(
                f"FDS_ENGINE=native, but the native module cannot be loaded ({native}); install fastdatastore again, "
                "or set FDS_ENGINE=portable"
            )
        if proxied:
            raise ConfigurationError(
                "FDS_ENGINE=native, but the environment has an HTTP proxy for the endpoint and the native data plane "
                "knows none; name the endpoint's host in NO_PROXY, or unset FDS_ENGINE"
            )
        return native
    if proxied:
        return _portable("the environment has an HTTP proxy for the endpoint")
    if isinstance(native, ImportError):
        return _portable(f"the native module cannot be loaded: {native}")
    return native


@cache
def _native() -> ModuleType | ImportError:
    try:
        return import_module("fastdatastore._native")
    except ImportError as error:
        _log.warning(
            "the native module cannot be loaded (%s): the portable data plane costs several times the CPU", error
        )
        return error.with_traceback(None)


def _portable(why: str) -> ModuleType:
    # Not where a subinterpreter has a GIL of its own. No module of the stable ABI 3.11 can say that it serves those.
    if not getattr(_thread, "daemon_threads_allowed", lambda: True)():
        raise ConfigurationError(
            "fastdatastore does not run in an isolated subinterpreter: use it in the main interpreter, or in one that "
            "shares its GIL"
        )
    if find_spec("aiobotocore") is None:
        raise ConfigurationError(
            f"the portable data plane is needed ({why}) and aiobotocore is not installed; "
            "run: python -m pip install aiobotocore awscrt"
        )
    return import_module("fastdatastore.engine.planes.portable")
