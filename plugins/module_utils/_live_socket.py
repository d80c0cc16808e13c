# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The socket that nginx connects to, and the slots' sockets behind it. Private to this collection.

``live.sock`` is a symbolic link to the socket of one slot; systemd listens on that, and systemd-socket-proxyd passes on to the slot's
port. nginx follows the link each time it connects, so renaming another link over it is the whole switch: no worker of nginx ends, and
no connection of a client is closed.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from ansible_collections.runbook.ops.plugins.module_utils._command import Command
from ansible_collections.runbook.ops.plugins.module_utils._live_state import target
from ansible_collections.runbook.ops.plugins.module_utils._small_file import replace_file

PROXYD = ("/usr/lib/systemd/systemd-socket-proxyd", "/lib/systemd/systemd-socket-proxyd")
OPEN = ("02", "03")  # states in /proc/net/unix: connecting, which is not yet taken, and connected
# A trigger limit would close the socket for good when the proxy fails a few times in a row; nothing may close the way of the requests.
SOCKET_UNIT = """# Written by runbook.ops (deploys of {service}), which replaces it whole.
[Unit]
Description=Requests to {service}, slot {slot}
Documentation=https://github.com/runbook-ops/runbook.ops/blob/main/docs/switching_the_proxy.md

[Socket]
ListenStream={path}
SocketUser=root
SocketGroup={group}
SocketMode=0660
DirectoryMode=0755
Backlog=4096
TriggerLimitIntervalSec=0

[Install]
WantedBy=sockets.target
"""
# No filter of system calls: in a container without CAP_SYS_ADMIN, systemd 257 cannot set one and does not start the service.
SERVICE_UNIT = """# Written by runbook.ops (deploys of {service}), which replaces it whole.
[Unit]
Description=Pass requests on to {service}, slot {slot}
Documentation=https://github.com/runbook-ops/runbook.ops/blob/main/docs/switching_the_proxy.md
Requires={unit}.socket
After={unit}.socket
StartLimitIntervalSec=0

[Service]
ExecStart={proxyd} --connections-max=16384 127.0.0.1:{port}
User={user}
Group={group}
LimitNOFILE=131072
Restart=on-failure
OOMScoreAdjust=-500
NoNewPrivileges=yes
CapabilityBoundingSet=
"""
TMPFILES = """# Written by runbook.ops (deploys of {service}) at each switch: /run is empty after a boot.
d {above} 0755 root root -
d {directory} 0755 root root -
L {link} - - - - {slot}.sock
"""


class Account(NamedTuple):
    """Whom nginx's workers are."""

    user: str
    group: str


class Places(NamedTuple):
    """Where units and the like lie."""

    units: Path
    tmpfiles: Path


def proxyd() -> str | None:
    """Return the program that passes requests on; None where this host cannot have it run."""
    if not Path("/run/systemd/system").is_dir():
        return None
    return next((path for path in PROXYD if os.access(path, os.X_OK)), None)


def unit_name(service: str, slot: str) -> str:
    """Return the name of a slot's two units, without their ending."""
    return f"runbook-ops-live-{service.replace('@', '_')}-{slot}"


class End(NamedTuple):
    """Where requests to one slot go in, and where they come out."""

    slot: str
    port: int
    path: Path


def render_units(service: str, end: End, *, program: str, account: Account) -> dict[str, str]:
    """Return the texts of a slot's units by their name, the socket first."""
    unit = unit_name(service, end.slot)
    values = {**end._asdict(), **account._asdict(), "service": service, "proxyd": program, "unit": unit}
    return {f"{unit}.socket": SOCKET_UNIT.format(**values), f"{unit}.service": SERVICE_UNIT.format(**values)}


def render_tmpfiles(service: str, slot: str, link: Path) -> str:
    """Return what makes the link again at a boot."""
    return TMPFILES.format(service=service, above=link.parent.parent, directory=link.parent, link=link, slot=slot)


def account_of(pid: int) -> Account:
    """Return whom a process is.

    :raises OSError: it has ended.
    """
    found = Path(f"/proc/{pid}").stat()
    user, group = str(found.st_uid), str(found.st_gid)
    import grp  # noqa: PLC0415  # only a first switch needs them
    import pwd  # noqa: PLC0415

    with suppress(KeyError):
        user = pwd.getpwuid(found.st_uid).pw_name
    with suppress(KeyError):
        group = grp.getgrgid(found.st_gid).gr_name
    return Account(user, group)


def open_way(units: Mapping[str, str], path: Path, places: Places, systemctl: Command, *, is_live: bool) -> list[str]:
    """See to it that a slot's socket listens, and return what was done. Requests of a live slot are never cut off.

    :param units: their texts by name, the socket first
    :raises CommandError: systemd refuses.
    :raises OSError: a file cannot be written.
    """
    first = next(iter(units))
    listens = accepts(path) and systemctl("is-active", first, accept=(0, 3, 4)).strip() == "active"
    stale = [name for name, text in units.items() if _text(places.units / name) != text]
    if listens and (is_live or not stale):
        return []
    make_directories(path.parent)
    for name in stale:
        _put(places.units / name, units[name])
    systemctl("daemon-reload")
    systemctl("stop", *units)  # of a slot that is not live: what it passes on is older
    systemctl("enable", "--quiet", first)
    systemctl("start", *units)
    return [f"systemd listens on {path}"]


def close_way(service: str, link: Path, places: Places, systemctl: Command) -> list[str]:
    """Remove the units, the sockets and the link of a service; return what was removed."""
    done = []
    for unit in sorted(places.units.glob(f"{unit_name(service, '*')}.socket")):
        _key, is_ours, slot = (_text(unit) or "").partition(f"\nListenStream={link.parent}/")
        if is_ours:  # and not those of a service whose name only begins like this one's
            systemctl("disable", "--quiet", "--now", unit.name)
            systemctl("stop", f"{unit.stem}.service", accept=(0, 5))  # 5: a killed call has removed it
            # The unit of the socket goes last: by it a killed call is known.
            for file in (unit.with_suffix(".service"), link.with_name(slot.partition("\n")[0]), unit):
                file.unlink(missing_ok=True)
            done.append(f"{unit.stem} is removed")
    if done or tmpfiles_of(service, places).exists():
        systemctl("daemon-reload")
    link.unlink(missing_ok=True)
    tmpfiles_of(service, places).unlink(missing_ok=True)
    with suppress(OSError):
        link.parent.rmdir()
    return done


def tmpfiles_of(service: str, places: Places) -> Path:
    return places.tmpfiles / f"runbook-ops-live-{service.replace('@', '_')}.conf"


def lead(link: Path, slot: str) -> None:
    """Have the link lead to the socket of ``slot``: one rename.

    :raises OSError: it cannot be made; it leads where it led.
    """
    aside = link.with_name(".live.sock.new")
    aside.unlink(missing_ok=True)
    aside.symlink_to(f"{slot}.sock")
    aside.replace(link)


def survive(service: str, slot: str, link: Path, places: Places) -> None:
    """Have the link be made again at a boot.

    :raises OSError: it cannot be written.
    """
    path, text = tmpfiles_of(service, places), render_tmpfiles(service, slot, link)
    if _text(path) != text:
        _put(path, text)


def leads(link: Path, slot: str) -> bool:
    """Return whether the link leads to ``slot``, and somebody listens there."""
    return target(link) == slot and accepts(link)


def accepts(path: Path, *, seconds: float = 2.0) -> bool:
    """Return whether a connection to a socket is taken."""
    try:
        with socket.socket(socket.AF_UNIX) as end:
            end.settimeout(seconds)
            end.connect(str(path))
    except OSError:
        return False
    return True


def make_directories(directory: Path) -> None:
    """Make the directory of a service's sockets, which nginx's workers must be able to enter."""
    directory.mkdir(mode=0o755, parents=True, exist_ok=True)
    for one in (directory, directory.parent):
        one.chmod(0o755)  # whatever the umask is


def connections(table: str, path: Path) -> int:
    """Return how many connections to the socket ``path`` are open.

    :param table: the text of /proc/net/unix
    """
    # Num RefCount Protocol Flags Type St Inode Path
    rows = (line.split(None, 7) for line in table.splitlines())
    return sum(1 for row in rows if len(row) == 8 and row[5] in OPEN and row[7] == str(path))


def all_connections(link: Path) -> int:
    """Return how many connections are open to the sockets of all slots, which lie beside ``link``."""
    table = Path("/proc/net/unix").read_text(encoding="utf-8", errors="replace")
    return sum(connections(table, path) for path in link.parent.glob("*.sock") if not path.is_symlink())


def tcp_inodes(tables: list[str], port: int) -> set[str]:
    """Return the sockets that are connected to ``port``, at the end of who connected.

    :param tables: the texts of /proc/net/tcp and tcp6
    """
    found = set()
    for table in tables:
        for line in table.splitlines()[1:]:
            row = line.split()
            if len(row) > 9 and row[3] == "01" and int(row[2].rpartition(":")[2], 16) == port:
                found.add(row[9])
    return found


def held_by(pids: list[int], inodes: set[str]) -> int:
    """Return how many of these sockets the processes have open."""
    wanted = {f"socket:[{inode}]" for inode in inodes}
    count = 0
    for pid in pids if wanted else ():
        with suppress(OSError):
            for entry in os.scandir(f"/proc/{pid}/fd"):
                with suppress(OSError):
                    count += os.readlink(entry.path) in wanted  # noqa: PTH115  # a Path for each would cost more than the look
    return count


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None


def _put(path: Path, text: str) -> None:
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    replace_file(path, text.encode(), mode=0o644)
