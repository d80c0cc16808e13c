# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Backups in a directory: the newest is young and large enough. Private to this collection."""

from __future__ import annotations

# ruff: noqa: PTH112, PTH116, PTH118, PTH208  # pathlib would be an import more, and this runs every few minutes
import os
import time
from fnmatch import fnmatchcase
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._checks import make_check
from ansible_collections.runbook.ops.plugins.module_utils._dated_names import (
    NAME,
    SIDECARS,
    UNFINISHED,
    parse_stamp,
    read_dates,
)
from ansible_collections.runbook.ops.plugins.module_utils._probe_options import Option
from ansible_collections.runbook.ops.plugins.module_utils._units import human_duration, human_size

SECTION = "Backups"
OPTIONS = {
    "directory": Option("str", "where they are", required=True),
    "pattern": Option("str", "glob of their names", "*"),
    "max_age_seconds": Option("float", "the newest must be younger", required=True),
    "min_size_bytes": Option("int", "the newest must be at least so large", 1),
    "shrunk_percent": Option(
        "float", "a newest one so much smaller than the median of earlier ones is a warning", 50.0
    ),
}
EARLIER = 10


def measure(options: dict[str, Any]) -> dict[str, Any]:
    """Return the newest backup, its age and size, and the sizes of those before it."""
    directory, now = options["directory"], time.time()
    try:
        names = os.listdir(directory)
    except FileNotFoundError:
        return {"exists": False, "newest": None, "age_seconds": None, "size_bytes": None, "earlier_bytes": []}
    ordered = order(directory, names, options["pattern"])
    newest = ordered[-1] if ordered else None
    return {
        "exists": True,
        "newest": newest and newest[1],
        "age_seconds": newest and now - newest[0],
        "size_bytes": newest and size_of(os.path.join(directory, newest[1])),
        "earlier_bytes": [size_of(os.path.join(directory, name)) for _at, name in ordered[-1 - EARLIER : -1]],
    }


def order(directory: str, names: list[str], pattern: str) -> list[tuple[float, str]]:
    """Return time and name of each backup, oldest first: by the date in the names, by mtime where no name holds one."""
    dated = read_dates(names, pattern=pattern).backups
    if dated:
        return [(_taken_at(directory, backup), backup[NAME]) for backup in dated[-1 - EARLIER :]]
    fitting = [name for name in names if fnmatchcase(name, pattern) and not name.endswith((*SIDECARS, *UNFINISHED))]
    return sorted((os.stat(os.path.join(directory, name)).st_mtime, name) for name in fitting)


def _taken_at(directory: str, backup: str) -> float:
    day = parse_stamp(backup[:14])
    at = day.timestamp() if day else 0.0
    if backup[8:14] == "000000":  # a name that tells the day only: the file's time tells when on that day
        written = os.stat(os.path.join(directory, backup[NAME])).st_mtime
        at = written if at <= written < at + 86400 else at
    return at


def size_of(path: str) -> int:
    """Return the bytes of a file, or of all files below a directory."""
    if not os.path.isdir(path):
        return os.stat(path).st_size
    return sum(os.stat(os.path.join(top, name)).st_size for top, _folders, names in os.walk(path) for name in names)


def judge(measured: dict[str, Any], options: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a check of the age and one of the size of the newest backup."""
    name, section, directory = options["name"] or options["directory"], options["section"], options["directory"]
    redo = "read the log of the backup job, make a backup now, then repair the job"
    if measured["newest"] is None:
        detail = f"no {options['pattern']} in {directory}" if measured["exists"] else f"{directory} does not exist"
        return [
            make_check(
                f"backup:{name}", name=name, section=section, status="critical", detail=detail, remedy=redo, unit="s"
            )
        ]
    age, size = round(measured["age_seconds"]), measured["size_bytes"]
    late = age > options["max_age_seconds"]
    median = sorted(measured["earlier_bytes"])[len(measured["earlier_bytes"]) // 2] if measured["earlier_bytes"] else 0
    least, status, detail = options["min_size_bytes"], "ok", human_size(size)
    if size < least:
        status, detail = "critical", "empty" if size == 0 else f"{human_size(size)} only: broken"
    elif len(measured["earlier_bytes"]) >= 3 and size < median * (1 - options["shrunk_percent"] / 100):
        status, detail = "warning", f"{human_size(size)}, the earlier ones about {human_size(median)}"
        least = round(median * (1 - options["shrunk_percent"] / 100))
    return [
        make_check(
            f"backup:{name}",
            name=f"{name} age",
            section=section,
            status="critical" if late else "ok",
            value=age,
            unit="s",
            limit=options["max_age_seconds"],
            detail=f"{measured['newest']}, {human_duration(max(0, age))} old"
            + (f", at most {human_duration(options['max_age_seconds'])}" if late else ""),
            remedy=redo,
        ),
        make_check(
            f"backup:{name}:size",
            name=f"{name} size",
            section=section,
            status=status,
            value=size,
            unit="B",
            limit=least,
            detail=detail,
            remedy="see whether it can be restored, and what is missing from it",
        ),
    ]
