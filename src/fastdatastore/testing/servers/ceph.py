"""Ceph RGW from Debian's packages (16.2): one mon, one osd, one radosgw; no systemd, no cephx.

Old and strict: it knows no x-amz-checksum-*, and refuses the trailers of botocore's default over TLS.
`python -m fastdatastore.testing.servers.install ceph` installs it. The configuration is in ceph_conf.py.
"""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from . import ceph_conf
from .launch import Launch, launch
from .ports import free_ports
from .running import RunningServer

__all__ = ["NAME", "start", "why_unavailable"]

NAME = "ceph"
_PROGRAMS = ("ceph-mon", "ceph-osd", "radosgw", "radosgw-admin", "ceph", "ceph-authtool", "monmaptool")
_OSD_PORTS = 24  # the osd's messengers bind 8 of them; the rest is for whoever takes one meanwhile


def why_unavailable() -> str | None:
    """None if it can be started, else a sentence that ends with the command that mends it."""
    missing = [program for program in _PROGRAMS if shutil.which(program) is None]
    if missing:
        return (
            f"Ceph is not installed (no {', '.join(missing)}); "
            "run: python -m fastdatastore.testing.servers.install ceph"
        )
    return None


def start(
    *,
    tls: bool = False,
    buckets: Sequence[str] = (),
    workdir: Path | None = None,
    timeout: float = 90.0,
    store: Literal["memstore", "bluestore"] = "memstore",
    store_bytes: int = 4 << 30,
    sts: bool = False,
    rgw_settings: Mapping[str, str] | None = None,
) -> RunningServer:
    """Starts it; takes 2 to 10 seconds.

    Args:
        tls: serve https, with a certificate by an authority made for it.
        buckets: to create.
        workdir: where to make its temporary directory.
        timeout: seconds until it must answer.
        store: `memstore` keeps objects in the osd's memory, `bluestore` in a sparse file.
        store_bytes: how much it can keep.
        sts: switch STS on; then a wrong secret and an unknown key are both AccessDenied.
        rgw_settings: more lines for the section [client.rgw] of its configuration.
    """
    chosen: list[int] = []

    def attempt(started: Launch) -> int:
        chosen[:] = port, mon = free_ports(2)
        (osd_ports,) = free_ports(1, offsets=range(_OSD_PORTS))
        directory = started.directory
        for name in ("mon", "osd", "run"):
            (directory / name).mkdir()
        fsid = str(uuid.uuid4())
        (directory / "ceph.conf").write_text(
            ceph_conf.text(
                directory=directory,
                fsid=fsid,
                mon_port=mon,
                osd_ports=(osd_ports, osd_ports + _OSD_PORTS - 1),
                store=store,
                store_bytes=store_bytes,
                endpoint=ceph_conf.endpoint(port, _pem(started)),
                sts=sts,
                rgw_settings=rgw_settings or {},
            )
        )
        _start_mon(started, fsid, mon)
        # radosgw waits for the cluster by itself, so it may load meanwhile.
        started.processes.spawn("rgw", ["radosgw", *_rgw(started), "-f"])
        _start_osd(started)
        started.wait_http("rgw", port, "/", (200, 403))
        _create_user(started)
        return port

    return launch(
        NAME,
        attempt,
        tls=tls,
        buckets=buckets,
        workdir=workdir,
        timeout=timeout,
        checks_signatures=True,
        uses_ports=lambda: chosen,
    )


def _conf(started: Launch) -> list[str]:
    return ["-c", str(started.directory / "ceph.conf")]


def _rgw(started: Launch) -> list[str]:
    return [*_conf(started), "-n", "client.rgw", "--no-mon-config"]


def _pem(started: Launch) -> Path | None:
    """The certificate and its key in one file, as radosgw wants them."""
    if started.certificate is None:
        return None
    pem = started.directory / "rgw.pem"
    pem.touch(mode=0o600)
    pem.write_text(started.certificate.cert_file.read_text() + started.certificate.key_file.read_text())
    return pem


def _start_mon(started: Launch, fsid: str, port: int) -> None:
    keyring, monmap = str(started.directory / "keyring"), str(started.directory / "monmap")
    mon_key = [
        "ceph-authtool",
        "--create-keyring",
        keyring,
        "--gen-key",
        "-n",
        "mon.",
        "--cap",
        "mon",
        "allow *",
    ]
    admin_key = [
        "ceph-authtool",
        keyring,
        "--gen-key",
        "-n",
        "client.admin",
        "--cap",
        "mon",
        "allow *",
        "--cap",
        "osd",
        "allow *",
    ]
    address = ["--addv", "a", ceph_conf.mon_address(port)]
    started.run("mon-key", mon_key)
    started.run("admin-key", admin_key)
    started.run("monmap", ["monmaptool", "--create", "--clobber", "--fsid", fsid, *address, monmap])
    mkfs = ["--mkfs", "-i", "a", "--monmap", monmap, "--keyring", keyring]
    started.run("mon-mkfs", ["ceph-mon", *_conf(started), *mkfs])
    started.processes.spawn("mon", ["ceph-mon", *_conf(started), "-i", "a", "-f"])


def _start_osd(started: Launch) -> None:
    osd = str(uuid.uuid4())
    timeout = ["--connect-timeout", str(max(1, int(started.seconds_left())))]
    started.run("osd-new", ["ceph", *_conf(started), *timeout, "osd", "new", osd])
    started.run("osd-mkfs", ["ceph-osd", *_conf(started), "-i", "0", "--mkfs", "--osd-uuid", osd])
    started.processes.spawn("osd", ["ceph-osd", *_conf(started), "-i", "0", "-f"])


def _create_user(started: Launch) -> None:
    keys = ["--access-key", started.access_key, "--secret-key", started.secret_key]
    caps = ["--caps", "roles=*;oidc-provider=*;user-policy=*;users=*;buckets=*"]
    started.run(
        "user",
        [
            "radosgw-admin",
            *_rgw(started),
            "user",
            "create",
            "--uid",
            "test",
            "--display-name",
            "test",
            *keys,
            *caps,
        ],
    )
