"""The configuration of a small Ceph that starts in seconds and listens on loopback only."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from .ports import HOST

__all__ = ["endpoint", "mon_address", "text"]


def mon_address(port: int) -> str:
    """The mon's address in Ceph's notation."""
    return f"[v2:{HOST}:{port}]"


def endpoint(port: int, pem: Path | None) -> str:
    """Where radosgw listens: with TLS if there is a file of certificate and key."""
    if pem is None:
        return f"endpoint={HOST}:{port}"
    return f"ssl_endpoint={HOST}:{port} ssl_certificate={pem}"


def text(
    *,
    directory: Path,
    fsid: str,
    mon_port: int,
    osd_ports: tuple[int, int],
    store: str,
    store_bytes: int,
    endpoint: str,
    sts: bool,
    rgw_settings: Mapping[str, str],
) -> str:
    """The text of ceph.conf.

    Args:
        directory: holds all that it writes.
        fsid: the cluster's UUID.
        mon_port: the mon's.
        osd_ports: first and last that the osd may bind.
        store: the osd's object store.
        store_bytes: its size.
        endpoint: radosgw's, see `endpoint`.
        sts: whether STS is on.
        rgw_settings: more of [client.rgw].
    """
    more = "".join(f"{key} = {value}\n" for key, value in rgw_settings.items())
    return f"""\
[global]
fsid = {fsid}
mon host = {mon_address(mon_port)}
mon initial members = a
public addr = {HOST}
cluster addr = {HOST}
ms bind port min = {osd_ports[0]}
ms bind port max = {osd_ports[1]}
auth cluster required = none
auth service required = none
auth client required = none
# radosgw's default here is 'secure', which needs cephx: without it radosgw tries for ever,
# 'get_initial_auth_request returned -13'
ms mon client mode = crc
keyring = {directory}/keyring
run dir = {directory}/run
admin socket =
log file =
log to stderr = true
err to stderr = true
crash dir = {directory}/run
osd pool default size = 1
osd pool default min size = 1
osd crush chooseleaf type = 0
osd pool default pg num = 8
osd pool default pgp num = 8
osd pool default pg autoscale mode = off
mon allow pool size one = true
mon max pg per osd = 1000
mgr initial modules =
# The creation of pools is paced by paxos: with its defaults the start takes 12 s
paxos propose interval = 0.05
paxos min wait = 0.01
mon osd adjust heartbeat grace = false
osd beacon report interval = 5
mon warn on insecure global id reclaim allowed = false
mon data avail warn = 1
mon data avail crit = 0

[mon]
mon data = {directory}/mon
mon warn on pool no redundancy = false

[osd]
osd data = {directory}/osd
osd objectstore = {store}
memstore device bytes = {store_bytes}
bluestore block create = true
bluestore block size = {store_bytes}
bluestore fsck on mount = false
osd memory target = 939524096

[client.rgw]
rgw data = {directory}/run
rgw frontends = beast {endpoint}
rgw enable usage log = false
rgw sts key = abcdefghijklmnop
rgw s3 auth use sts = {str(sts).lower()}
rgw verify ssl = false
rgw dns name =
rgw thread pool size = 128
{more}"""
