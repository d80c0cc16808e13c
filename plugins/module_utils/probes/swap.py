# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Swap in use. Private to this collection."""

from __future__ import annotations

from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._checks import judge_high, make_check
from ansible_collections.runbook.ops.plugins.module_utils._probe_options import Option, limits
from ansible_collections.runbook.ops.plugins.module_utils._units import human_size
from ansible_collections.runbook.ops.plugins.module_utils.probes.memory import read_meminfo

SECTION = "Host"
OPTIONS = {"percent": Option("limits", "used swap, in percent of all", limits(50, 80))}


def measure(options: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG001  # every probe is asked the same way
    """Return ``total_bytes`` and ``free_bytes``."""
    meminfo = read_meminfo()
    return {"total_bytes": meminfo.get("SwapTotal", 0), "free_bytes": meminfo.get("SwapFree", 0)}


def judge(measured: dict[str, Any], options: dict[str, Any]) -> list[dict[str, Any]]:
    """Return one check; a host without swap is in order."""
    total, used = measured["total_bytes"], measured["total_bytes"] - measured["free_bytes"]
    percent = round(100 * used / total, 1) if total else 0.0
    status, limit = judge_high(percent, **options["percent"]) if total else ("ok", None)
    return [
        make_check(
            "swap",
            name=options["name"] or "Swap",
            section=options["section"],
            status=status,
            value=percent,
            unit="%",
            limit=limit,
            detail=f"{human_size(used)} of {human_size(total)} used" if total else "this host has no swap",
            remedy="memory was short: see who holds it with ps -eo pid,user,rss,args --sort=-rss | head",
        )
    ]
