# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The processes that eat most, and those that nobody has buried. Private to this collection."""

from __future__ import annotations

# ruff: noqa: PTH123, PTH208  # pathlib would be an import more, and this runs every few minutes
import os
import time
from typing import Any, NamedTuple

from ansible_collections.runbook.ops.plugins.module_utils._checks import judge_high, make_check
from ansible_collections.runbook.ops.plugins.module_utils._probe_options import Option, limits
from ansible_collections.runbook.ops.plugins.module_utils._units import human_size

SECTION = "Host"
OPTIONS = {
    "most": Option("int", "how many of the hungriest are told", 3),
    "cpu_percent": Option("limits", "time that one process uses, of one processor", limits(None)),
    "memory_percent": Option("limits", "memory that one process holds, of all", limits(None)),
    "zombies": Option("limits", "processes that have ended and that nobody has waited for", limits(20)),
    "sample_seconds": Option("float", "for how long it is measured", 0.1),
}


class Process(NamedTuple):
    """A process as it was when it was looked at."""

    pid: int
    name: str
    state: str
    cpu_seconds: float
    memory_bytes: int


def measure(options: dict[str, Any]) -> dict[str, Any]:
    """Return the processes by CPU time within the sample and by memory, and how many are zombies."""
    before, began = {one.pid: one for one in look()}, time.monotonic()
    time.sleep(options["sample_seconds"])
    after, seconds = look(), time.monotonic() - began
    own = os.getpid()
    used = [
        (100 * (one.cpu_seconds - before[one.pid].cpu_seconds) / seconds, one)
        for one in after
        if one.pid in before and one.pid != own
    ]
    held = sorted((one for one in after if one.pid != own), key=lambda one: -one.memory_bytes)
    return {
        "cpu": [(round(share, 1), one.name, one.pid) for share, one in sorted(used, key=lambda pair: -pair[0])],
        "memory": [(one.memory_bytes, one.name, one.pid) for one in held],
        "zombies": [one.name for one in after if one.state == "Z"],
        "all_bytes": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
    }


def look() -> list[Process]:
    """Return all processes that can be seen."""
    ticks, page = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/stat", encoding="utf-8", errors="replace") as file:
                    found.append(parse(int(entry), file.read(), ticks, page))
            except (OSError, ValueError, IndexError):  # it has just ended
                continue
    return found


def parse(pid: int, text: str, ticks: int, page: int) -> Process:
    """Return the process that a line of /proc/<pid>/stat tells of. Its name stands in parentheses and may hold some."""
    head, _parenthesis, tail = text.rpartition(")")
    fields = tail.split()
    used = (int(fields[11]) + int(fields[12])) / ticks
    return Process(pid, head.partition("(")[2], fields[0], used, int(fields[21]) * page)


def judge(measured: dict[str, Any], options: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a check of the hungriest by CPU time, one by memory, and one of zombies."""
    most, section = options["most"], options["section"]
    share = measured["cpu"][0][0] if measured["cpu"] else 0.0
    busiest = judge_high(share, **options["cpu_percent"])
    held = measured["memory"][0][0] if measured["memory"] else 0
    percent = round(100 * held / max(1, measured["all_bytes"]), 1)
    largest = judge_high(percent, **options["memory_percent"])
    zombies = measured["zombies"]
    dead = judge_high(len(zombies), **options["zombies"])

    def check(thing: str, name: str, judged: tuple[str, float | None], **more: Any) -> dict[str, Any]:
        status, limit = judged
        return make_check(f"processes:{thing}", name=name, section=section, status=status, limit=limit, **more)

    cpu = ", ".join(f"{name} ({pid}) {used:g} %" for used, name, pid in measured["cpu"][:most] if used)
    memory = ", ".join(f"{name} ({pid}) {human_size(size)}" for size, name, pid in measured["memory"][:most])
    names = ", ".join(sorted(set(zombies))[:3])
    return [
        check("cpu", "Busiest", busiest, value=share, unit="%", detail=cpu or "none", remedy="see why: top -H -p PID"),
        check("memory", "Largest", largest, value=percent, unit="%", detail=memory, remedy="see its growth over days"),
        check("zombies", "Zombies", dead, value=len(zombies), unit="processes", detail=names or "none",
              remedy="restart the parent, which does not wait for them: ps -o ppid,comm"),
    ]  # fmt: skip
