# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The switch of a service from one slot to the other: one rename, proven by requests, or taken back. Private to this collection.

Which slot is live decides what nginx reads, not a file of ours: see :mod:`_live_state`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from ansible_collections.runbook.ops.plugins.module_utils._live_state import RELOAD, SOCKET, Live, read_live

if TYPE_CHECKING:
    from ansible_collections.runbook.ops.plugins.module_utils._change_lock import Fence
    from ansible_collections.runbook.ops.plugins.module_utils._release import Release
    from ansible_collections.runbook.ops.plugins.module_utils._slot import Slot

__all__ = ["Live", "read_live"]


class SwitchError(Exception):
    """The switch was not made, or was taken back; the message is one line and says what is live now."""


class ProxyWishes(NamedTuple):
    """How requests get from nginx to a slot, and what proves that they do."""

    upstream: str  # name of nginx's upstream
    replaces: tuple[str, ...]  # addresses that stand in nginx's configuration before it is taken over
    way: str  # SOCKET or RELOAD
    requests: tuple[Mapping[str, Any], ...]  # options of the probe http; asked through nginx
    version: Mapping[str, Any] | None  # url (through nginx), json, is
    module: Any  # the AnsibleModule, to run nginx and systemctl
    config: str = "/etc/nginx/nginx.conf"
    directory: str = "/var/lib/runbook-ops/nginx"  # journal and copies of nginx's files
    units: str = "/etc/systemd/system"
    tmpfiles: str = "/etc/tmpfiles.d"
    proof_seconds: float = 5.0


class SwitchReport(NamedTuple):
    """What a switch came to."""

    switched: bool  # False: it was live already
    before: Live | None
    live: Live
    way: str
    seconds: float | None = None  # from the commit to the first right answer; None where nothing was switched
    actions: tuple[str, ...] = ()
    checks: tuple[dict[str, Any], ...] = ()


class DrainReport(NamedTuple):
    """How the requests of a slot came to an end."""

    left: int  # connections that were still open after the time
    seconds: float


def wishes_of(service: Mapping[str, Any], module: Any) -> ProxyWishes:
    """Return what the description says about the way to ``service``.

    :param service: as the role ``system`` describes it; its ``deploy`` names ``url``
    :param module: the ``AnsibleModule`` that runs
    """
    deploy = service["deploy"]
    ports = [port for port in (service["port"], service.get("standby_port")) if port]
    names = ("localhost", "127.0.0.1", "[::1]")
    asked = {"address": deploy["address"], "verify": True, "timeout_seconds": 5}
    parts = urlsplit(deploy["url"])
    base = f"{parts.scheme}://{parts.netloc}"
    smoke = [
        {"url": base + one["request"], "status": [one["status"]], "json": one["json"], **asked}
        for one in deploy["smoke"]
    ]
    version = deploy["version"]
    if version:
        tail = urlsplit(version["url"].replace("{port}", "1"))
        version = {**version, "url": base + tail.path + (f"?{tail.query}" if tail.query else ""), **asked}
    return ProxyWishes(
        upstream=service["name"].replace("@", "_"),
        replaces=tuple(f"{name}:{port}" for port in ports for name in names),
        way=deploy["switch"] if deploy["switch"] in (SOCKET, RELOAD) else SOCKET,
        requests=({"url": deploy["url"], **asked}, *smoke),
        version=version,
        module=module,
    )


def adopt(paths: Any, fence: Fence, slot: Slot, release_id: str | None) -> Live:
    """Write down that ``slot`` gets the requests: before the first switch, and where there is no proxy.

    :param paths: ``DeployPaths`` of the service
    :raises SwitchError: it cannot be written.
    """
    raise NotImplementedError


def switch(paths: Any, fence: Fence, to: Slot, release: Release, wishes: ProxyWishes) -> SwitchReport:
    """Send requests to the slot ``to``, which runs ``release``, and prove it; or leave all as it was.

    Requests that have begun stay where they are: call :func:`drain` before the other slot is stopped. What a killed switch has left is
    finished: called with the same slot once more, it proves that it is live, and writes what was not written.

    :raises SwitchError: it could not be made or proven; what was live is live.
    :raises LockError: another run took over; nothing was written since.
    """
    raise NotImplementedError


def settle(paths: Any, fence: Fence, wishes: ProxyWishes | None) -> Live | None:
    """Write down what a killed switch came to, and return the slot that is live; None where nothing was ever deployed.

    :raises SwitchError: it is not known which slot is live.
    """
    raise NotImplementedError


def predict(paths: Any, to: Slot, wishes: ProxyWishes) -> list[str]:
    """Return in words what :func:`switch` would do; changes nothing.

    :raises SwitchError: it would refuse.
    """
    raise NotImplementedError


def drain(paths: Any, slot: Slot, wishes: ProxyWishes | None, *, seconds: float) -> DrainReport:
    """Wait until no request through nginx is on its way in ``slot`` any more, at most ``seconds``. It must not be live.

    :raises SwitchError: it is live.
    """
    raise NotImplementedError


def forget(paths: Any, fence: Fence, wishes: ProxyWishes, port: int) -> list[str]:
    """Write the address of ``port`` into nginx's configuration again, as it was by hand, and remove units and sockets; return the actions."""
    raise NotImplementedError


def _unit_of(paths: Any, slot: str) -> str:
    """Return the name of a slot's units, without their ending."""
    return f"runbook-ops-live-{Path(paths.directory).name.replace('@', '_')}-{slot}"
