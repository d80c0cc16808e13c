# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Backups in a directory: the newest is young and large enough. Private to this collection."""

from __future__ import annotations

# ruff: noqa: PTH112, PTH116, PTH118, PTH208  # pathlib would be an import more, and this runs every few minutes
import os
import re
import time
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, NamedTuple

from ansible_collections.runbook.ops.plugins.module_utils._checks import make_check
from ansible_collections.runbook.ops.plugins.module_utils._dated_names import (
    NAME,
    REMOVED,
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
    "pattern": Option("str", "glob of their names; every name where no set is given"),
    "set": Option("str", "name of the set whose whole backups count, beside what the pattern matches"),
    "max_age_seconds": Option("float", "the newest must be younger", required=True),
    "min_size_bytes": Option("int", "the newest must be at least so large", 1),
    "shrunk_percent": Option(
        "float", "a newest one so much smaller than the median of earlier ones is a warning", 50.0
    ),
}
EARLIER = 10
FUTURE_TOLERANCE = 86_400  # names may be in UTC and the clock in local time, or the other way round
REDO = "read the log of the backup job, make a backup now, then repair the job"


class Found(NamedTuple):
    """One backup."""

    at: float
    name: str
    set_bytes: int | None = None  # of the payload, where it is a whole backup of the set


def measure(options: dict[str, Any]) -> dict[str, Any]:
    """Return the newest backup, its age and size, what is wrong with it, and the sizes of those before it."""
    directory, now = options["directory"], time.time()
    try:
        names = os.listdir(directory)
    except FileNotFoundError:
        return {"exists": False, "newest": None}
    found, damaged = [], []
    if options["set"]:
        stamped = re.compile(re.escape(options["set"]) + r"_\d{8}T\d{6}Z").fullmatch
        found, damaged = sets_of(directory, sorted(name for name in names if stamped(name)))
        names = [name for name in names if not stamped(name)]
    if options["pattern"] or not options["set"]:
        found += [Found(at, name) for at, name in order(directory, names, options["pattern"] or "*")]
    past = sorted(one for one in found if one.at <= now + FUTURE_TOLERANCE)
    told = {"exists": True, "damaged": damaged, "in_future": len(found) - len(past), "newest": None}
    if not past:
        return told
    newest = past[-1]
    earlier = [one for one in past[:-1] if (one.set_bytes is None) == (newest.set_bytes is None)][-EARLIER:]
    return {
        **told,
        "newest": newest.name,
        "age_seconds": now - newest.at,
        "size_bytes": _bytes(directory, newest),
        "fault": fault_of(os.path.join(directory, newest.name)),
        "earlier_bytes": [_bytes(directory, one) for one in earlier],
    }


def sets_of(directory: str, names: list[str]) -> tuple[list[Found], list[str]]:
    """Return the last whole backups among ``names``, oldest first as these, and the names of those that are damaged."""
    from ansible_collections.runbook.ops.plugins.module_utils import _payload  # noqa: PLC0415  # only sets need it

    found, damaged = [], []
    for name in names[-1 - EARLIER :]:
        backup = _payload.read_set(Path(directory, name))
        if backup is None:
            damaged.append(name)
        else:
            found.append(Found(backup.taken_at.timestamp(), name, backup.manifest["size"]))
    return found, damaged


def fault_of(path: str) -> str | None:
    """Return what is missing from a directory that says what it has to hold; None where nothing is, or nothing says so."""
    if not os.path.isdir(path):
        return None
    from ansible_collections.runbook.ops.plugins.module_utils import _payload  # noqa: PLC0415  # only directories need it

    backup = _payload.read_set(Path(path))
    files = _payload.read_copy(Path(path)) if backup is None else _payload.files_of(backup)
    return None if files is None else _payload.fault(Path(path), files)


def order(directory: str, names: list[str], pattern: str) -> list[tuple[float, str]]:
    """Return time and name of each backup, oldest first: by the date in the names, by mtime where no name holds one."""
    dated = read_dates(names, pattern=pattern).backups
    if dated:
        return [(_taken_at(directory, backup), backup[NAME]) for backup in dated[-1 - EARLIER :]]
    fitting = [
        name for name in names if fnmatchcase(name, pattern) and not name.endswith((*SIDECARS, *UNFINISHED, REMOVED))
    ]
    return sorted((os.stat(os.path.join(directory, name)).st_mtime, name) for name in fitting)


def _taken_at(directory: str, backup: str) -> float:
    day = parse_stamp(backup[:14])
    at = day.timestamp() if day else 0.0
    if backup[8:14] == "000000":  # a name that tells the day only: the file's time tells when on that day
        written = os.stat(os.path.join(directory, backup[NAME])).st_mtime
        at = written if at <= written < at + 86400 else at
    return at


def _bytes(directory: str, one: Found) -> int:
    return size_of(os.path.join(directory, one.name)) if one.set_bytes is None else one.set_bytes


def size_of(path: str) -> int:
    """Return the bytes of a file, or of all files below a directory."""
    if not os.path.isdir(path):
        return os.stat(path).st_size
    return sum(os.stat(os.path.join(top, name)).st_size for top, _folders, names in os.walk(path) for name in names)


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
    size, least, earlier = measured["size_bytes"], options["min_size_bytes"], sorted(measured["earlier_bytes"])
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
