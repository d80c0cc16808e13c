# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who listens on this host, against who should. Private to this collection."""

from __future__ import annotations

import os
import re
from typing import Any, NamedTuple

from ansible_collections.runbook.ops.plugins.module_utils._checks import make_check
from ansible_collections.runbook.ops.plugins.module_utils._probe_options import Option, ProbeError

SECTION = "Services"
OPTIONS = {
    "expected": Option(
        "list", "TCP ports that must be listened on, as 443 or 443=nginx; 127.0.0.1:9090=name: from this host only", []
    ),
    "strangers": Option("bool", "whether any other port that is reached from other hosts is a warning", True),
    "ignore": Option("integers", "ports that are no strangers, though nobody need listen on them", []),
}
FORM = re.compile(r"(?:(127\.0\.0\.1|localhost):)?(\d{1,5})(?:=(.+))?")
LISTEN = "0A"


class Expected(NamedTuple):
    """A port that must be listened on."""

    port: int
    name: str
    inside: bool  # from this host only


def measure(options: dict[str, Any]) -> dict[str, Any]:
    """Return ``sockets`` that listen, each with port and whether other hosts reach it, and the programs of strangers."""
    expected = [parse(word) for word in options["expected"]]
    sockets: list[tuple[int, bool, str]] = []
    for name in ("tcp", "tcp6"):
        try:
            with open(f"/proc/net/{name}", encoding="ascii") as file:  # noqa: PTH123  # pathlib is an import more
                sockets += listening(file.read())
        except FileNotFoundError:  # a host without IPv6
            continue
    known = {one.port for one in expected} | set(options["ignore"])
    strange = {inode for port, outside, inode in sockets if outside and port not in known}
    return {"sockets": sockets, "programs": programs(strange) if strange else {}}


def parse(word: str) -> Expected:
    """Return the port that ``word`` tells of.

    :raises ProbeError: it tells of none.
    """
    met = FORM.fullmatch(word)
    if not met or not 0 < int(met[2]) < 65536:
        raise ProbeError(f"{word!r} is no port", "write 443, 443=nginx or 127.0.0.1:9090=prometheus")
    return Expected(int(met[2]), met[3] or "", bool(met[1]))


def listening(text: str) -> list[tuple[int, bool, str]]:
    """Return port, whether other hosts reach it, and inode of the listening sockets in a table of the kernel."""
    found = []
    for line in text.splitlines()[1:]:
        fields = line.split()
        if len(fields) > 9 and fields[3] == LISTEN:
            address, _colon, port = fields[1].partition(":")
            found.append((int(port, 16), not is_loopback(address), fields[9]))
    return found


def is_loopback(address: str) -> bool:
    """Return whether an address, as the kernel's table has it, is reached from this host only.

    Each group of eight digits is a number of 32 bits, its bytes in reverse.
    """
    if len(address) == 8:
        return address.endswith("7F")
    return address == "0" * 24 + "01000000" or (
        address.startswith("0000000000000000FFFF0000") and address.endswith("7F")
    )


def programs(inodes: set[str]) -> dict[str, str]:
    """Return the names of the programs that hold the sockets, as far as we may see them."""
    found: dict[str, str] = {}
    for process in (entry for entry in os.listdir("/proc") if entry.isdigit()):  # noqa: PTH208  # pathlib is slower
        try:
            for file in os.listdir(f"/proc/{process}/fd"):  # noqa: PTH208  # the same
                target = os.readlink(f"/proc/{process}/fd/{file}")  # noqa: PTH115  # the same
                inode = target[8:-1] if target.startswith("socket:[") else ""
                if inode in inodes:
                    with open(f"/proc/{process}/comm", encoding="utf-8", errors="replace") as name:  # noqa: PTH123
                        found[inode] = name.read().strip()
        except OSError:  # it has ended, or is not ours to see
            continue
    return found


def judge(measured: dict[str, Any], options: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a check for each expected port, and one for strangers."""
    checks, section = [], options["section"]
    reached: dict[int, list[bool]] = {}
    for port, outside, _inode in measured["sockets"]:
        reached.setdefault(port, []).append(outside)
    expected = [parse(word) for word in options["expected"]]
    for one in expected:
        status, detail = "ok", "reached from this host only" if one.inside else "listening"
        if one.port not in reached:
            status, detail = "critical", "nobody listens"
        elif one.inside and any(reached[one.port]):
            status, detail = "warning", "reached from other hosts too"
        checks.append(
            make_check(
                f"listening:{one.port}",
                name=f"Port {one.port}" + (f" ({one.name})" if one.name else ""),
                section=section,
                status=status,
                value=one.port,
                detail=detail,
                remedy="see who should listen, and on which address: ss -tlnp",
            )
        )
    return [*checks, *(_strangers(measured, options, {one.port for one in expected}) if options["strangers"] else [])]


def _strangers(measured: dict[str, Any], options: dict[str, Any], expected: set[int]) -> list[dict[str, Any]]:
    known = expected | set(options["ignore"])
    strange = {
        port: measured["programs"].get(inode, "")
        for port, outside, inode in sorted(measured["sockets"])
        if outside and port not in known
    }
    listed = [f"{port} ({name})" if name else str(port) for port, name in strange.items()]
    more = f" and {len(listed) - 5} more" if len(listed) > 5 else ""
    return [
        make_check(
            "listening:strangers",
            name=options["name"] or "Unexpected ports",
            section=options["section"],
            status="warning" if strange else "ok",
            value=len(strange),
            unit="ports",
            limit=1,
            detail=f"{', '.join(listed[:5])}{more}" if listed else "none",
            remedy="stop it, bind it to the loopback address, or describe it",
        )
    ]
