# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Backups in a directory: the newest is young and large enough. Private to this collection."""

from __future__ import annotations

# ruff: noqa: PTH118, PTH208  # pathlib would be an import more, and this runs every few minutes
import os
import time
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._checks import make_check
from ansible_collections.runbook.ops.plugins.module_utils._found_backups import (
    EARLIER,
    bytes_of,
    fault_of,
    found_in,
)
from ansible_collections.runbook.ops.plugins.module_utils._probe_options import Option
from ansible_collections.runbook.ops.plugins.module_utils._units import human_duration, human_size

SECTION = "Backups"
OPTIONS = {
    "directory": Option("str", "where they are", required=True),
    "pattern": Option("str", "glob of their names; every name where no set is given"),
    "set": Option("str", "name of the set whose whole backups count, beside what the pattern matches"),
    "max_age_seconds": Option("float", "the newest must be younger", required=True),
    "min_size_bytes": Option("int", "the newest must be at least so large, where it is none of the set", 1),
    "shrunk_percent": Option(
        "float", "a newest one so much smaller than the median of earlier ones is a warning", 50.0
    ),
}
FUTURE_TOLERANCE = 86_400  # names may be in UTC and the clock in local time, or the other way round
REDO = "read the log of the backup job, make a backup now, then repair the job"


def measure(options: dict[str, Any]) -> dict[str, Any]:
    """Return the newest backup, its age and size, what is wrong with it, and the sizes of those before it."""
    directory, now = options["directory"], time.time()
    try:
        names = os.listdir(directory)
    except FileNotFoundError:
        return {"exists": False, "newest": None}
    found, damaged = found_in(directory, names, prefix=options["set"], pattern=options["pattern"])
    past = sorted(one for one in found if one.at <= now + FUTURE_TOLERANCE)
    told = {"exists": True, "damaged": damaged, "in_future": len(found) - len(past), "newest": None}
    if not past:
        return told
    newest = past[-1]
    earlier = [one for one in past[:-1] if (one.set_bytes is None) == (newest.set_bytes is None)][-EARLIER:]
    return {
        **told,
        "newest": newest.name,
        "is_set": newest.set_bytes is not None,
        "age_seconds": now - newest.at,
        "size_bytes": bytes_of(directory, newest),
        "fault": fault_of(os.path.join(directory, newest.name)),
        "earlier_bytes": [bytes_of(directory, one) for one in earlier],
    }


def judge(measured: dict[str, Any], options: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a check of the age and one of the size of the newest backup."""
    directory, section = options["directory"], options["section"]
    name = options["name"] or options["set"] or directory
    if measured["newest"] is None:
        sought = " and no ".join(filter(None, (options["set"] and f"backup of {options['set']}", options["pattern"])))
        detail = f"no {sought or 'file'} in {directory}" if measured["exists"] else f"{directory} does not exist"
        detail += _beside(measured)
        return [
            make_check(
                f"backup:{name}", name=name, section=section, status="critical", detail=detail, remedy=REDO, unit="s"
            )
        ]
    age = round(measured["age_seconds"])
    late = age > options["max_age_seconds"]
    status, least, detail = _judge_size(measured, options)
    return [
        make_check(
            f"backup:{name}",
            name=f"{name} age",
            section=section,
            status="critical" if late else "warning" if _beside(measured) else "ok",
            value=age,
            unit="s",
            limit=options["max_age_seconds"],
            detail=f"{measured['newest']}, {human_duration(max(0, age))} old"
            + (f", at most {human_duration(options['max_age_seconds'])}" if late else "")
            + _beside(measured),
            remedy=REDO if late else f"look at {directory}, and at the host's clock: timedatectl",
        ),
        make_check(
            f"backup:{name}:size",
            name=f"{name} size",
            section=section,
            status=status,
            value=measured["size_bytes"],
            unit="B",
            limit=least,
            detail=detail,
            remedy="see whether it can be restored, and what is missing from it",
        ),
    ]


def _judge_size(measured: dict[str, Any], options: dict[str, Any]) -> tuple[str, int, str]:
    """Return the status of the newest one's size, the limit, and one line about it."""
    size, earlier = measured["size_bytes"], sorted(measured["earlier_bytes"])
    least = 1 if measured["is_set"] else options["min_size_bytes"]
    if measured["fault"]:
        return "critical", least, f"not whole: {measured['fault']}"
    if size < least:
        return "critical", least, "empty" if size == 0 else f"{human_size(size)} only: broken"
    usual = earlier[len(earlier) // 2] if len(earlier) >= 3 else 0
    if size < usual * (1 - options["shrunk_percent"] / 100):
        limit = round(usual * (1 - options["shrunk_percent"] / 100))
        return "warning", limit, f"{human_size(size)}, the earlier ones about {human_size(usual)}"
    return "ok", least, human_size(size)


def _beside(measured: dict[str, Any]) -> str:
    """Return what else is to be told of the directory."""
    told = ""
    if measured.get("damaged"):
        told += f"; {measured['damaged'][-1]} is damaged"
    if measured.get("in_future"):
        told += f"; {measured['in_future']} dated in the future count for nothing"
    return told
