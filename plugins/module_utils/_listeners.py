# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which process takes connections on a port, and which one took a certain connection. Private to this collection.

The kernel lists sockets with their inode, and each process the inodes that it holds. Root reads those of every process, but
in a container without CAP_SYS_PTRACE only the account of a process can: then it is asked.
"""

from __future__ import annotations

import os
import pwd
import socket
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

from ansible_collections.runbook.ops.plugins.module_utils._command import Command, CommandError

PROC = Path("/proc")
LISTEN = 10  # include/net/tcp_states.h
POLL_SECONDS = 0.02


class Socket(NamedTuple):
    """One line of /proc/net/tcp."""

    port: int
    remote_port: int
    state: int
    uid: int
    inode: int


class Holder(NamedTuple):
    """A process that holds a socket."""

    pid: int
    name: str  # what it calls itself, cut short

    def __str__(self) -> str:
        return f"pid {self.pid} ({self.name})"


def parse(lines: Iterable[str]) -> list[Socket]:
    """Return the sockets that the kernel lists."""
    found = []
    for line in lines:
        fields = line.split()
        if len(fields) < 10 or ":" not in fields[1]:
            continue
        port, remote = (int(field.rpartition(":")[2], 16) for field in fields[1:3])
        found.append(Socket(port, remote, int(fields[3], 16), int(fields[7]), int(fields[9])))
    return found


def sockets() -> list[Socket]:
    """Return all TCP sockets of this host."""
    found = []
    for name in ("tcp", "tcp6"):
        try:
            found += parse((PROC / "net" / name).read_text(encoding="ascii").splitlines()[1:])
        except OSError:  # no IPv6
            continue
    return found


def listeners(module: Any, port: int) -> list[Holder]:
    """Return the processes that take connections on ``port``, by their number."""
    return holders(module, [one for one in sockets() if one.state == LISTEN and one.port == port])


def holders(module: Any, wanted: Iterable[Socket]) -> list[Holder]:
    """Return the processes that hold one of the sockets ``wanted``."""
    found: dict[int, Holder] = {}
    for uid, inodes in _by_account(wanted).items():
        for pid in _held_by(module, uid, inodes):
            found[pid] = Holder(pid, title(pid))
    return [found[pid] for pid in sorted(found)]


def taken_by(
    module: Any,
    port: int,
    *,
    seconds: float,
    passes_on: Callable[[Holder], bool] = lambda _holder: False,
    clock: Callable[[], float] = time.monotonic,
) -> list[Holder] | None:
    """Return who accepts a connection to ``port``; None where nobody listens. No byte is sent.

    A listener can be shared by several processes (a cluster of Node): only a connection shows which of them serve.

    :param passes_on: whether a process only hands connections on to others; it is named where none of those takes this one
    :raises OSError: nobody accepted it in time.
    """
    deadline = clock() + seconds
    try:
        connection = socket.create_connection(("127.0.0.1", port), timeout=seconds)
    except ConnectionRefusedError:
        return None
    with connection:
        mine = connection.getsockname()[1]
        while True:
            ends = [one for one in sockets() if one.port == port and one.remote_port == mine and one.inode]
            found = holders(module, ends)
            final = [one for one in found if not passes_on(one)]
            if final or (found and clock() >= deadline):
                return final or found
            if clock() >= deadline:
                raise socket.timeout(f"nobody accepts connections to port {port}")
            time.sleep(POLL_SECONDS)


def title(pid: int) -> str:
    """Return what a process calls itself: the beginning of its command line, else the kernel's name of it."""
    for name, most in (("cmdline", 60), ("comm", 15)):
        try:
            text = (PROC / str(pid) / name).read_bytes().decode(errors="replace")
        except OSError:
            continue
        words = text.replace("\0", " ").split()
        if words:
            # Arguments may hold secrets: only what runs, and for an interpreter what it runs.
            program = words[0].rpartition("/")[2]
            script = words[1] if len(words) > 1 and not words[1].startswith("-") and words[0] != "PM2" else ""
            return f"{program} {script}".strip()[:most] if words[0] != "PM2" else "PM2's daemon"
    return "ended"


def _by_account(wanted: Iterable[Socket]) -> dict[int, set[int]]:
    found: dict[int, set[int]] = {}
    for one in wanted:
        found.setdefault(one.uid, set()).add(one.inode)
    return found


def _held_by(module: Any, uid: int, inodes: set[int]) -> list[int]:
    names = {f"socket:[{inode}]" for inode in inodes}
    found, closed = [], []
    for entry in PROC.iterdir():
        if not entry.name.isdigit():
            continue
        try:
            if names & {os.readlink(link.path) for link in os.scandir(entry / "fd")}:  # noqa: PTH115  (thousands of them)
                found.append(int(entry.name))
        except PermissionError:
            closed.append(int(entry.name))
        except OSError:  # it has just ended, or closed that file
            closed.append(int(entry.name))
    return found or _asked_as(module, uid, closed, names)


def _asked_as(module: Any, uid: int, pids: list[int], names: set[str]) -> list[int]:
    """Return the same as the account ``uid`` sees it."""
    mine = [pid for pid in pids if _owner(pid) == uid]
    if not mine or uid == os.geteuid() or os.geteuid() != 0:
        return []
    try:
        account = pwd.getpwuid(uid).pw_name
        find = Command(module, "find", user=account)
        # Some may have ended since: find says so, and goes on.
        said = find(*(f"/proc/{pid}/fd" for pid in mine), "-lname", "socket:*", "-printf", "%h %l\\n", accept=(0, 1))
    except (KeyError, CommandError):
        return []
    pairs = [line.rpartition(" ") for line in said.splitlines()]
    return sorted({int(path.split("/")[2]) for path, _blank, link in pairs if link in names})


def _owner(pid: int) -> int | None:
    try:
        return (PROC / str(pid)).stat().st_uid
    except OSError:
        return None
