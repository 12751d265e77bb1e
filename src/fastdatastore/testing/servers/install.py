"""Installs what pip cannot: `python -m fastdatastore.testing.servers.install minio ceph [--yes]`."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from . import ceph, minio

__all__ = ["install_ceph", "install_minio", "main"]

_CEPH_PACKAGES = ("ceph-mon", "ceph-osd", "ceph-common", "radosgw")


def install_minio() -> Path:
    """Builds MinIO from its source by Go (1.24 or newer) into the user's cache; some minutes, then nothing.

    Returns:
        The binary.

    Raises:
        RuntimeError: Go is not installed.
        subprocess.CalledProcessError: the build failed; it has printed why.
    """
    binary = minio.cached_executable()
    if binary.exists():
        return binary
    go = shutil.which("go")
    if go is None:
        raise RuntimeError("MinIO is built from source and needs Go 1.24 or newer; get it from https://go.dev/dl/")
    binary.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".minio-", dir=binary.parent) as building:
        environment = os.environ | {"CGO_ENABLED": "0", "GOFLAGS": "", "GOBIN": building}
        module = f"github.com/minio/minio@{minio.VERSION}"
        subprocess.run([go, "install", module], env=environment, cwd=building, check=True)
        (Path(building) / "minio").replace(binary)  # atomic: nobody sees half a binary
    return binary


def install_ceph() -> None:
    """Installs Ceph's Debian packages, as root or by sudo: 64 packages, about 73 MB to download.

    Raises:
        RuntimeError: this is no Debian or Ubuntu.
        subprocess.CalledProcessError: apt-get failed; it has printed why.
    """
    if ceph.why_unavailable() is None:
        return
    if shutil.which("apt-get") is None:
        raise RuntimeError(f"there is no apt-get here; install Ceph by other means: {', '.join(_CEPH_PACKAGES)}")
    prefix = [] if os.geteuid() == 0 else ["sudo"]
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    options = ["install", "-y", "--no-install-recommends"]
    subprocess.run([*prefix, "apt-get", "update"], env=environment, check=True)
    subprocess.run([*prefix, "apt-get", *options, *_CEPH_PACKAGES], env=environment, check=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line; returns 0, 1 if one could not be installed, or 2 if it was not agreed to."""
    parser = argparse.ArgumentParser(prog="python -m fastdatastore.testing.servers.install", description=__doc__)
    parser.add_argument("servers", nargs="+", choices=("minio", "ceph"), metavar="minio|ceph")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    chosen = parser.parse_args(arguments)
    what = {
        "minio": f"build MinIO (AGPL-3.0, no longer maintained) with Go into {minio.cached_executable()}",
        "ceph": f"install {', '.join(_CEPH_PACKAGES)} by apt-get",
    }
    if not chosen.yes and not _agreed(" and ".join(what[name] for name in chosen.servers)):
        print("nothing was done; add --yes to do it without being asked", file=sys.stderr)
        return 2
    return max(_installed(name) for name in chosen.servers)


def _installed(name: str) -> int:
    try:
        if name == "minio":
            print(f"MinIO is at {install_minio()}", flush=True)
        else:
            install_ceph()
            print("Ceph is installed", flush=True)
    except (RuntimeError, OSError, subprocess.CalledProcessError) as error:
        print(f"{name} was not installed: {error}", file=sys.stderr, flush=True)
        return 1
    return 0


def _agreed(what: str) -> bool:
    return sys.stdin.isatty() and input(f"{what}? [y/N] ").strip().lower() in ("y", "yes")


if __name__ == "__main__":
    sys.exit(main())
