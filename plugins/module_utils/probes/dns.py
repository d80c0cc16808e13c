# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names that must lead to an address, as this host's programs look them up. Private to this collection."""

from __future__ import annotations

import socket
import threading
import time
from pathlib import Path
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._checks import judge_high, make_check
from ansible_collections.runbook.ops.plugins.module_utils._probe_options import Option, ProbeError, limits

SECTION = "Host"
OPTIONS = {
    "names": Option("list", "the names; each is looked up at the same time as the others", required=True),
    "seconds": Option("limits", "time until the slowest is found", limits(2)),
}
RESOLVERS = Path("/etc/resolv.conf")


def measure(options: dict[str, Any]) -> dict[str, Any]:
    """Return the ``failed`` names with the reason, the time of the slowest, and who is asked."""
    if not options["names"]:
        raise ProbeError("no name is given", "name some in names")
    answers: dict[str, tuple[float, str | None]] = {}

    def look_up(name: str) -> None:
        began = time.monotonic()
        try:
            socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
            reason = None
        except OSError as exc:
            reason = exc.strerror or str(exc)
        answers[name] = (time.monotonic() - began, reason)

    # A resolver that does not answer holds its thread for as long as it likes: a daemon does not hold us.
    threads = [threading.Thread(target=look_up, args=(name,), daemon=True) for name in options["names"]]
    for thread in threads:
        thread.start()
    end = time.monotonic() + options["timeout_seconds"] * 0.9
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))
    told = dict(answers)
    silent = {name: "no answer in time" for name in options["names"] if name not in told}
    failed = {name: reason for name, (_seconds, reason) in told.items() if reason}
    return {
        "failed": {**failed, **silent},
        "seconds": round(max((seconds for seconds, _reason in told.values()), default=0.0), 3),
        "resolvers": resolvers(RESOLVERS.read_text(encoding="utf-8") if RESOLVERS.exists() else ""),
    }


def resolvers(text: str) -> list[str]:
    """Return the servers that a resolv.conf names."""
    lines = (line.split() for line in text.splitlines())
    return [fields[1] for fields in lines if len(fields) > 1 and fields[0] == "nameserver"]


def judge(measured: dict[str, Any], options: dict[str, Any]) -> list[dict[str, Any]]:
    """Return one check."""
    failed, asked = measured["failed"], ", ".join(measured["resolvers"]) or "nobody"
    status, limit = judge_high(measured["seconds"], **options["seconds"])
    number = len(options["names"])
    detail = f"{number} {'name' if number == 1 else 'names'} found, resolvers {asked}"
    if failed:
        first = "; ".join(f"{name}: {reason}" for name, reason in list(failed.items())[:3])
        status, detail = "critical", f"{len(failed)} of {number} not found (resolvers {asked}): {first}"
    return [
        make_check(
            "dns:names",
            name=options["name"] or "DNS",
            section=options["section"],
            status=status,
            value=measured["seconds"],
            unit="s",
            limit=limit,
            detail=detail,
            remedy="ask by hand: getent hosts NAME; then see /etc/resolv.conf and its servers",
        )
    ]
