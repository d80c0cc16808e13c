# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Memory that programs can still get. Private to this collection."""

# ruff: noqa: PTH123  # pathlib would be an import more, and this runs every few minutes
from __future__ import annotations

from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._checks import judge_high, make_check
from ansible_collections.runbook.ops.plugins.module_utils._probe_options import Option, ProbeError, limits
from ansible_collections.runbook.ops.plugins.module_utils._units import human_size

SECTION = "Host"
OPTIONS = {"percent": Option("limits", "memory that is not available, in percent of all", limits(90, 95))}


def read_meminfo() -> dict[str, int]:
    """Return /proc/meminfo in bytes."""
    with open("/proc/meminfo", encoding="ascii") as file:
        lines = (line.split() for line in file)
        return {words[0].rstrip(":"): int(words[1]) * 1024 for words in lines if len(words) > 1}


def measure(options: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG001  # every probe is asked the same way
    """Return ``total_bytes`` and ``available_bytes``: what the kernel can hand out, caches included."""
    meminfo = read_meminfo()
    if "MemAvailable" not in meminfo:
        raise ProbeError("this kernel does not tell MemAvailable")
    return {"total_bytes": meminfo["MemTotal"], "available_bytes": meminfo["MemAvailable"]}


def judge(measured: dict[str, Any], options: dict[str, Any]) -> list[dict[str, Any]]:
    """Return one check."""
    percent = round(100 * (1 - measured["available_bytes"] / measured["total_bytes"]), 1)
    status, limit = judge_high(percent, **options["percent"])
    available, total = human_size(measured["available_bytes"]), human_size(measured["total_bytes"])
    return [
        make_check(
            "memory",
            name=options["name"] or "Memory",
            section=options["section"],
            status=status,
            value=percent,
            unit="%",
            limit=limit,
            detail=f"{available} of {total} available",
            remedy="see who holds it: ps -eo pid,user,rss,args --sort=-rss | head",
        )
    ]
