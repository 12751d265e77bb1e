"""The HTTP proxy for a URL, as HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY say; also in lower case, which wins."""

from __future__ import annotations

import ipaddress
import os
from urllib.parse import urlsplit

from fastdatastore.errors import ConfigurationError


def proxy_for(url: str) -> str | None:
    """The URL of the proxy that requests to `url` go through.

    Returns:
        "http://…" or "https://…", maybe with a user and password in it. None: there is none, or NO_PROXY names the
        host.

    Raises:
        ConfigurationError: The variable does not hold such a URL.
    """
    variable, proxy = _found(url)
    return _checked(variable, proxy) if proxy else None


def proxy_variable(url: str) -> str:
    """The variable that names the proxy for `url`; "" without one."""
    return _found(url)[0]


def _found(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    variable, proxy = _variable(f"{parts.scheme}_proxy", "all_proxy")
    return ("", "") if not proxy or _is_exempt(parts.hostname or "", parts.port) else (variable, proxy)


def _variable(*names: str) -> tuple[str, str]:
    """The first of these that is set, and to what."""
    for lower in names:
        # A CGI script's HTTP_PROXY is the request's header "Proxy": whoever calls it could set it.
        spellings = (lower,) if lower == "http_proxy" and "REQUEST_METHOD" in os.environ else (lower, lower.upper())
        for name in spellings:
            if name in os.environ:
                return name, os.environ[name].strip()
    return "", ""


def _is_exempt(host: str, port: int | None) -> bool:
    """By "*", a name (its subdomains, too), an address, a network such as 10.0.0.0/8, each maybe with a port."""
    for entry in _variable("no_proxy")[1].lower().split(","):
        entry = entry.strip().removeprefix("*.").removeprefix(".")
        if not entry:
            continue
        if entry == "*" or _is_in_network(host, entry):
            return True
        name, colon, wanted = entry.rpartition(":")
        if colon and wanted.isdigit() and not name.endswith(":"):
            if int(wanted) != port:
                continue
            entry = name
        entry = entry.strip("[]")
        if host == entry or host.endswith("." + entry):
            return True
    return False


def _is_in_network(host: str, entry: str) -> bool:
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(entry, strict=False)
    except ValueError:
        return False


def _checked(variable: str, proxy: str) -> str:
    """With a scheme. The URL is not repeated in errors: there may be a password in it."""
    full = proxy if "://" in proxy else f"http://{proxy}"
    try:
        parts = urlsplit(full)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # the port, or brackets that do not match
        good = False
    if not good:
        raise ConfigurationError(
            f"{variable} must be http://host:port or https://host:port of an HTTP proxy (SOCKS is not supported); "
            "correct it, or name the endpoint's host in NO_PROXY"
        )
    return full
