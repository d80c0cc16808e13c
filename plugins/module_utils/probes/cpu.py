# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How busy the processors are. Private to this collection."""

from __future__ import annotations

# ruff: noqa: PTH123  # pathlib would be an import more, and this runs every few minutes
import os
import time
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._checks import judge_high, make_check
from ansible_collections.runbook.ops.plugins.module_utils._probe_options import Option, limits

SECTION = "Host"
OPTIONS = {
    "percent": Option("limits", "time used, of that of all processors", limits(None)),
    "sample_seconds": Option("float", "for how long it is measured", 0.1),
    "sure_seconds": Option(
        "float", "for how long it is measured again where that was too much: a peak is no load", 2.0
    ),
}
GROUPS = "/sys/fs/cgroup"


def measure(options: dict[str, Any]) -> dict[str, Any]:
    """Return ``used``, the processor time in a second of real time, without what this very look takes, and ``count``."""
    count = os.cpu_count() or 1
    used = _used(options["sample_seconds"])
    if judge_high(100 * used / count, **options["percent"])[0] != "ok":
        used = _used(options["sure_seconds"])
    return {"used": used, "count": count}


def _used(seconds: float) -> float:
    before, began = _now()
    time.sleep(seconds)
    after, ended = _now()
    return max(0.0, after - before) / max(1e-6, ended - began)


def _now() -> tuple[float, float]:
    return used_seconds() - sum(os.times()[:4]), time.monotonic()


def used_seconds() -> float:
    """Return the processor time that this host has used; of a host that is a container its own, not its machine's."""
    for path, parse in ((f"{GROUPS}/cpu.stat", _second_version), (f"{GROUPS}/cpuacct/cpuacct.usage", _first_version)):
        try:
            with open(path, encoding="ascii") as file:
                return parse(file.read())
        except (OSError, ValueError):
            continue
    with open("/proc/stat", encoding="ascii") as file:
        return parse_stat(file.readline(), os.sysconf("SC_CLK_TCK"))


def _second_version(text: str) -> float:
    values = dict(line.split() for line in text.splitlines() if line.count(" ") == 1)
    if "usage_usec" not in values:
        raise ValueError("no usage")
    return int(values["usage_usec"]) / 1e6


def _first_version(text: str) -> float:
    return int(text) / 1e9


def parse_stat(line: str, ticks: int) -> float:
    """Return the seconds in the first line of /proc/stat that the processors did not idle or wait for disks."""
    user, nice, system, _idle, _iowait, *rest = (int(field) for field in line.split()[1:])
    return (user + nice + system + sum(rest[:3])) / ticks


def judge(measured: dict[str, Any], options: dict[str, Any]) -> list[dict[str, Any]]:
    """Return one check."""
    percent = round(100 * measured["used"] / measured["count"], 1)
    status, limit = judge_high(percent, **options["percent"])
    return [
        make_check(
            "cpu:busy",
            name=options["name"] or "CPU",
            section=options["section"],
            status=status,
            value=percent,
            unit="%",
            limit=limit,
            detail=f"{measured['used']:.1f} of {measured['count']} processors busy",
            remedy="see which processes: top -o %CPU",
        )
    ]
