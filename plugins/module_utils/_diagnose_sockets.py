# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""TCP connections by state and by who is at the other end: an attack looks other than load. Private to this collection."""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from ansible_collections.runbook.ops.plugins.module_utils._diagnose import Found, table
from ansible_collections.runbook.ops.plugins.module_utils._probe_options import ProbeError

# As the kernel counts them in include/net/tcp_states.h.
STATES = ("", "ESTABLISHED", "SYN_SENT", "SYN_RECV", "FIN_WAIT1", "FIN_WAIT2", "TIME_WAIT", "CLOSE", "CLOSE_WAIT", "LAST_ACK",
          "LISTEN", "CLOSING", "NEW_SYN_RECV")  # fmt: skip
MOST_LINES = 200_000
SHOWN = 20
FEW = 50  # so many connections say nothing about who makes them
LARGE_PERCENT = 50


class Connection(NamedTuple):
    """One line of /proc/net/tcp."""

    port: int
    remote: str
    remote_port: int
    state: str


def parse(lines: Iterable[str]) -> list[Connection]:
    """Return the connections that the kernel lists; its own words for each address are four bytes, backwards."""
    found = []
    for line in lines:
        fields = line.split()
        if len(fields) < 4 or ":" not in fields[1]:
            continue
        remote, _colon, remote_port = fields[2].partition(":")
        number = int(fields[3], 16)
        state = STATES[number] if number < len(STATES) else fields[3]
        found.append(Connection(int(fields[1].rpartition(":")[2], 16), _address(remote), int(remote_port, 16), state))
    return found


def _address(text: str) -> str:
    raw = bytes.fromhex(text)
    raw = b"".join(raw[index : index + 4][::-1] for index in range(0, len(raw), 4))
    address = ipaddress.ip_address(raw)
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped or address)


def summarise(connections: list[Connection], ports: Iterable[int]) -> Found:
    """Return counts by state, by local port and by remote address, and whether few addresses make most of them.

    :param ports: those that the world may connect to, such as 80 and 443
    """
    listening = {one.port for one in connections if one.state == "LISTEN"}
    open_ports = set(ports) & listening or set(ports)
    live = [one for one in connections if one.state != "LISTEN"]
    public = [one for one in live if one.port in open_ports and not ipaddress.ip_address(one.remote).is_loopback]
    by_remote = Counter(one.remote for one in public)
    half_open = sum(one.state.endswith("SYN_RECV") for one in public)
    note = verdict(by_remote, half_open)
    incoming = Counter((one.port, one.state) for one in live if one.port in listening)
    outgoing = Counter((f"{one.remote}:{one.remote_port}", one.state) for one in live if one.port not in listening)
    ports_shown = ", ".join(map(str, sorted(open_ports)))
    parts = [
        note,
        "By state\n" + table(["state", "connections"], Counter(one.state for one in connections).most_common()),
        f"From outside to port {ports_shown}, by remote address\n"
        + table(
            ["remote", "connections", "percent"],
            [(who, n, round(100 * n / len(public), 1)) for who, n in by_remote.most_common(SHOWN)],
        ),
        "To this host, by port\n"
        + table(["port", "state", "connections"], [(*key, n) for key, n in incoming.most_common(SHOWN)]),
        "From this host\n"
        + table(["to", "state", "connections"], [(*key, n) for key, n in outgoing.most_common(SHOWN)]),
    ]
    return Found("\n\n".join(parts), note=note)


def verdict(by_remote: Counter[str], half_open: int) -> str:
    """Return one line that tells an attack from load, as far as connections can."""
    total = sum(by_remote.values())
    if not total:
        return "no connection from outside"
    who, most = by_remote.most_common(1)[0]
    percent = round(100 * most / total)
    said = f"{total} connections from {len(by_remote)} addresses, the busiest is {who} with {most} ({percent} %)"
    if half_open > FEW and half_open * 100 >= total * LARGE_PERCENT:
        return f"{said}; {half_open} are half open: this looks like a SYN flood"
    if total > FEW and percent >= LARGE_PERCENT:
        return f"{said}: one client makes most of them"
    return f"{said}; {half_open} half open" if half_open else said


def sockets(options: dict[str, Any]) -> Found:
    """Collect them from the kernel."""
    lines: list[str] = []
    for name in ("tcp", "tcp6"):
        path = Path("/proc/net", name)
        if path.exists():
            with path.open(encoding="ascii") as file:
                next(file, None)
                lines += [line for _index, line in zip(range(MOST_LINES), file)]
    if not lines:
        raise ProbeError("/proc/net/tcp is empty")
    found = summarise(parse(lines), options.get("ports") or [80, 443])
    found.cut = len(lines) >= MOST_LINES
    dropped = listen_drops(Path("/proc/net/netstat").read_text(encoding="ascii"))
    found.text += f"\n\nSince the boot the kernel dropped {dropped} connections that nobody accepted in time"
    return found


def listen_drops(netstat: str) -> int:
    """Return how many connections the kernel dropped because a listener's queue was full."""
    lines = [line.split() for line in netstat.splitlines() if line.startswith("TcpExt:")]
    return int(dict(zip(*lines[:2])).get("ListenOverflows", 0)) if len(lines) >= 2 else 0
