"""What Metaflow's configuration says of S3. Metaflow itself is neither needed nor imported.

Where Metaflow is loaded its own values count. Elsewhere they are found as it would find them: METAFLOW_* variables, and
where Metaflow is installed its files, of the project and of the user.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from fastdatastore.errors import ConfigurationError


def datatools_root() -> str | None:
    """The s3:// URL below which flows keep their data (DATATOOLS_S3ROOT); None if none is set."""
    if root := _value("DATATOOLS_S3ROOT"):
        return str(root)
    if datastore := _value("DATASTORE_SYSROOT_S3"):
        return f"{str(datastore).rstrip('/')}/{_value('DATATOOLS_SUFFIX') or 'data'}"
    return None


def temporary_directory() -> str:
    """Where clients make their files (TEMPDIR)."""
    return str(_value("TEMPDIR") or ".")


def encryption() -> str | None:
    """The server-side encryption of what is put (S3_SERVER_SIDE_ENCRYPTION)."""
    return _value("S3_SERVER_SIDE_ENCRYPTION") or None


def session_vars() -> Mapping[str, Any]:
    """Variables of the botocore session that goes with a role (DATATOOLS_SESSION_VARS)."""
    return _mapping("DATATOOLS_SESSION_VARS")


def client_params() -> Mapping[str, Any]:
    """Arguments of boto3's S3 client (DATATOOLS_CLIENT_PARAMS, S3_ENDPOINT_URL, S3_VERIFY_CERTIFICATE)."""
    params = dict(_mapping("DATATOOLS_CLIENT_PARAMS"))
    if endpoint := _value("S3_ENDPOINT_URL"):
        params.setdefault("endpoint_url", endpoint)
    if certificate := _value("S3_VERIFY_CERTIFICATE"):
        params["verify"] = certificate
    return params


def signs_in_by_itself() -> bool:
    """Only Metaflow can make its S3 client: by an extension's provider, or in its sandbox."""
    provider = _value("DEFAULT_AWS_CLIENT_PROVIDER") or "boto3"
    sandbox = str(_value("AWS_SANDBOX_ENABLED") or "").lower() not in ("", "0", "false")
    return (provider != "boto3" or sandbox) and find_spec("metaflow") is not None


def _value(name: str) -> Any:
    loaded = sys.modules.get("metaflow.metaflow_config")
    if loaded is not None and hasattr(loaded, name):
        return getattr(loaded, name)
    name = f"METAFLOW_{name}"
    if name in os.environ:
        return os.environ[name]
    if find_spec("metaflow") is None:
        return None
    return _file(_of_project()).get(name, _file(_of_user()).get(name))


def _mapping(name: str) -> Mapping[str, Any]:
    value = _value(name) or {}
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            value = None
    if not isinstance(value, Mapping):
        raise ConfigurationError(f"METAFLOW_{name} must be a JSON object; check Metaflow's configuration")
    return value


def _of_project() -> Path | None:
    """config.json in the nearest .metaflow directory, from the working directory upwards."""
    here = Path.cwd()
    found = (up / ".metaflow" for up in (here, *here.parents) if (up / ".metaflow").is_dir())
    directory = next(found, None)
    return directory / "config.json" if directory else None


def _of_user() -> Path:
    profile = os.environ.get("METAFLOW_PROFILE")
    home = Path(os.environ.get("METAFLOW_HOME", "~/.metaflowconfig")).expanduser()
    return home / (f"config_{profile}.json" if profile else "config.json")


def _file(path: Path | None) -> Mapping[str, Any]:
    try:
        return json.loads(path.read_text(encoding="utf-8")) if path and path.exists() else {}
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"Metaflow's configuration {path} cannot be read: {error}") from None
