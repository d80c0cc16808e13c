# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Backups of a set: the newest that is verified, and the last test restore, are young enough. Private to this collection."""

from __future__ import annotations

# ruff: noqa: PTH118, PTH208  # pathlib would be slower, and this runs every few minutes
import os
import re
import time
from datetime import datetime
from pathlib import Path
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._backup_proof import read_proof
from ansible_collections.runbook.ops.plugins.module_utils._backup_set import PROOF, Backup
from ansible_collections.runbook.ops.plugins.module_utils._checks import make_check
from ansible_collections.runbook.ops.plugins.module_utils._payload import is_as_proven, read_set
from ansible_collections.runbook.ops.plugins.module_utils._probe_options import Option
from ansible_collections.runbook.ops.plugins.module_utils._units import human_duration, human_size

SECTION = "Backups"
OPTIONS = {
    "directory": Option("str", "where they are", required=True),
    "set": Option("str", "name of the set", required=True),
    "max_age_seconds": Option("float", "the newest verified one must be younger", required=True),
    "pattern": Option(
        "str", "glob of what a script made there before; until the first of the set is there, none is asked for"
    ),
    "max_drill_age_seconds": Option("float", "the last test restore must be younger; without it none is asked for"),
    "min_size_bytes": Option("int", "the newest verified one must be at least so large", 1),
    "shrunk_percent": Option(
        "float", "a verified one so much smaller than the median of earlier ones is a warning", 50.0
    ),
}
EARLIER = 10
LOOKED_AT = 400  # of the newest: more than a year of nights
FUTURE_TOLERANCE = 86_400


def measure(options: dict[str, Any]) -> dict[str, Any]:
    """Return the newest verified backup with its age and size, the newest restored on trial, and what is written to since."""
    now, directory = time.time(), options["directory"]
    stamped = re.compile(re.escape(options["set"]) + r"_\d{8}T\d{6}Z").fullmatch
    try:
        names = sorted(filter(stamped, os.listdir(directory)), reverse=True)
    except FileNotFoundError:
        return {"exists": False, "backups": 0, "verified": None, "drill": None}
    told: dict[str, Any] = {"exists": True, "backups": len(names), "verified": None, "drill": None, "changed": []}
    told["earlier_bytes"] = []
    for name in names[:LOOKED_AT]:
        backup, proof = _proof(os.path.join(directory, name))
        if backup is None or proof is None or backup.taken_at.timestamp() > now + FUTURE_TOLERANCE:
            continue
        if not is_as_proven(backup, proof):
            told["changed"].append(name)
            continue
        if told["verified"] is None:
            told["verified"] = name
            told.update(age_seconds=now - backup.taken_at.timestamp(), size_bytes=backup.manifest["size"])
        elif len(told["earlier_bytes"]) < EARLIER:
            told["earlier_bytes"].append(backup.manifest["size"])
        if told["drill"] is None:
            told["drill"] = _last_drill(name, proof, now)
        enough = told["drill"] or options["max_drill_age_seconds"] is None
        if enough and len(told["earlier_bytes"]) == EARLIER:
            break
    return told


def _proof(path: str) -> tuple[Backup | None, dict[str, Any] | None]:
    if not os.path.lexists(os.path.join(path, PROOF)):
        return None, None
    backup = read_set(Path(path))
    return backup, None if backup is None else read_proof(backup)


def _last_drill(name: str, proof: dict[str, Any], now: float) -> dict[str, Any] | None:
    """Return the last test restore of one backup, whether it passed or not; None where there was none."""
    passed, failed = proof.get("drill"), proof.get("failed_drill")
    if failed and (not passed or str(failed.get("at")) >= str(passed.get("at"))):
        return _drill(name, {**failed, "passed": False}, now)
    return _drill(name, passed, now) if passed else None


def _drill(name: str, drill: dict[str, Any], now: float) -> dict[str, Any]:
    """Return what is known of a test restore; its age is None where it does not tell its time."""
    try:
        at = datetime.fromisoformat(str(drill.get("at")).replace("Z", "+00:00"))
        age = now - at.timestamp() if at.tzinfo else None
    except ValueError:
        age = None
    differences = drill.get("differences") or []
    return {
        "name": name,
        "age_seconds": age,
        "passed": drill.get("passed") is True,
        "difference": str(differences[0]) if differences else None,
        "seconds": drill.get("seconds"),
    }


def judge(measured: dict[str, Any], options: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a check of the newest verified backup's age, one of its size, and one of the last test restore."""
    checks = [_judge_age(measured, options)]
    if measured["verified"]:
        checks.append(_judge_size(measured, options))
    if options["max_drill_age_seconds"] is not None and not _is_first_to_come(measured, options):
        checks.append(_judge_drill(measured, options))
    return checks


def _is_first_to_come(measured: dict[str, Any], options: dict[str, Any]) -> bool:
    """Return whether a script has made the backups so far: their age and size are another check's."""
    return bool(measured["exists"]) and measured["backups"] == 0 and options["pattern"] is not None


def _judge_age(measured: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
    most, status, age = options["max_age_seconds"], "ok", None
    if _is_first_to_come(measured, options):
        detail = f"the first of {options['set']} is to come; what a script made before is looked at by its age"
        return _check(options, "", "verified", status=status, value=age, unit="s", limit=most, detail=detail)
    remedy = "run the playbook verify_backups, and read why the newest backup is not verified"
    if not measured["exists"]:
        status, detail = "critical", f"{options['directory']} does not exist"
    elif measured["verified"] is None:
        status, detail = "critical", f"none of {measured['backups']} backups of {options['set']} is verified"
    else:
        age = round(measured["age_seconds"])
        detail = f"{measured['verified']}, {human_duration(max(0, age))} old"
        if age > most:
            status, detail = "critical", f"{detail}, at most {human_duration(most)}"
    if measured.get("changed"):
        status = "warning" if status == "ok" else status
        detail += f"; {measured['changed'][0]} was written to after it was verified"
    return _check(options, "", "verified", status=status, value=age, unit="s", limit=most, detail=detail, remedy=remedy)


def _judge_size(measured: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
    size, least, earlier = measured["size_bytes"], options["min_size_bytes"], sorted(measured["earlier_bytes"])
    usual = earlier[len(earlier) // 2] if len(earlier) >= 3 else 0
    suspicious = usual * (1 - options["shrunk_percent"] / 100)
    status, detail = "ok", human_size(size)
    if size < least:
        status, detail = "critical", f"{human_size(size)} only: broken"
    elif size < suspicious:
        status, least = "warning", round(suspicious)
        detail = f"{human_size(size)}, the earlier ones about {human_size(usual)}"
    remedy = "compare its manifest.json with that of an earlier one: what is missing?"
    return _check(
        options,
        ":size",
        "verified size",
        status=status,
        value=size,
        unit="B",
        limit=least,
        detail=detail,
        remedy=remedy,
    )


def _judge_drill(measured: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
    most, drill, age = options["max_drill_age_seconds"], measured["drill"], None
    status, remedy = "ok", "run the playbook verify_backups with -e backup_drill=all"
    if drill is None:
        status, detail = "critical", f"no backup of {options['set']} was ever restored on trial"
    elif not drill["passed"]:
        status, detail = (
            "critical",
            f"{drill['name']} differs after a test restore: {drill['difference'] or 'not told'}",
        )
        remedy = "take an older backup that passed for restores, and find out what differs before the next one is made"
    elif drill["age_seconds"] is None:
        status, detail = "unknown", f"{drill['name']} was restored on trial at an unknown time"
    else:
        age = round(drill["age_seconds"])
        detail = f"{drill['name']}, {human_duration(max(0, age))} ago"
        if age > most:
            status, detail = "critical", f"{detail}, at most {human_duration(most)}"
    return _check(
        options, ":drill", "test restore", status=status, value=age, unit="s", limit=most, detail=detail, remedy=remedy
    )


def _check(options: dict[str, Any], end: str, what: str, **told: Any) -> dict[str, Any]:
    name = options["name"] or options["set"]
    return make_check(f"backup-proof:{name}{end}", name=f"{name} {what}", section=options["section"], **told)
