# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Look through the records for what was confirmed and proven, the newest first and no more than needed. Private to this collection."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timezone, tzinfo
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from ansible_collections.runbook.ops.plugins.module_utils import _checklist as checklist
from ansible_collections.runbook.ops.plugins.module_utils._report_files import read_record
from ansible_collections.runbook.ops.plugins.module_utils._report_records import (
    NAME,
    RecordError,
    choose_names,
    first_runs,
)

ARGUMENTS: dict[str, Any] = {
    "items": {"type": "list", "elements": "dict", "required": True},
    "system": {"type": "str", "required": True},
    "records_directory": {"type": "path", "default": "/var/lib/runbook-ops/runs"},
    "time_zone": {"type": "str", "default": "UTC"},
    "at": {"type": "str"},
}
DAY = 86400.0
AHEAD_SECONDS = 6 * 3600.0  # a controller whose clock is ahead of this host's names its records after the future


class Seen(NamedTuple):
    """What the records say."""

    confirmed: dict[str, checklist.Done]
    proven: dict[str, checklist.Done]
    asked: dict[str, date]  # playbook: day of its first record
    damaged: list[dict[str, str]]

    def of(self, item: Mapping[str, Any]) -> checklist.Done | None:
        """Return the last that was done of ``item``; a check that is bad now counts whoever confirmed it before."""
        return checklist.newest(self.confirmed.get(item["name"]), self.proven.get(item["name"]))


def moment(options: Mapping[str, Any]) -> tuple[float, tzinfo]:
    """Return the time that counts as now, and the time zone by which days begin.

    :raises ChecklistError: one of them is none.
    """
    try:
        zone = ZoneInfo(options["time_zone"] or "UTC")
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise checklist.ChecklistError(
            f"this host knows no time zone {options['time_zone']!r}: correct ops_system.time_zone, or install tzdata"
        ) from None
    if not options["at"]:
        return time.time(), zone
    try:
        at = datetime.fromisoformat(options["at"].replace("Z", "+00:00"))
    except ValueError:
        raise checklist.ChecklistError(
            f"{options['at']!r} is not a time: write one like 2026-11-22T04:00:00Z"
        ) from None
    return (at if at.tzinfo else at.replace(tzinfo=timezone.utc)).timestamp(), zone


def look(
    options: Mapping[str, Any],
    items: Sequence[Mapping[str, Any]],
    *,
    now: float,
    zone: tzinfo,
    ahead: float | None = None,
) -> Seen:
    """Return what the records until ``now`` say of ``items``.

    :param ahead: seconds after ``now`` within which records count too; without it AHEAD_SECONDS where now is by the clock, none where it is told
    :raises ChecklistError: the records cannot be read.
    """
    directory = Path(options["records_directory"])
    try:
        names = [entry.name for entry in os.scandir(directory)]
    except FileNotFoundError:
        names = []  # nothing has run yet
    except OSError as exc:
        raise checklist.ChecklistError(f"the records in {directory} cannot be read: {exc.strerror or exc}") from None
    first = {name: datetime.fromtimestamp(at, zone).date() for name, at in first_runs(names).items()}
    seen = Seen({}, {}, first, [])
    late = (0.0 if options["at"] else AHEAD_SECONDS) if ahead is None else ahead
    chosen, _strange = choose_names(names, since=now - checklist.LONGEST_AGO_DAYS * DAY, until=now + late + 1)
    for name in reversed(chosen):
        open_items = [item for item in items if _wanted(item, name, seen)]
        if open_items:
            _take(directory / name, options["system"], open_items, seen, zone)
    return seen


def _wanted(item: Mapping[str, Any], name: str, seen: Seen) -> bool:
    """Return whether a record of that name may still say something of ``item``."""
    met = NAME.fullmatch(name)
    playbooks = set(met[2].split("+")) if met else set()
    if checklist.PLAYBOOK in playbooks:
        return item["name"] not in seen.confirmed
    proves = bool(playbooks & set(item.get("proven_by") or [])) or bool(item.get("check"))
    return proves and item["name"] not in seen.proven


def _take(path: Path, system: str, items: Sequence[Mapping[str, Any]], seen: Seen, zone: tzinfo) -> None:
    try:
        record = read_record(path)
    except FileNotFoundError:
        return  # removed meanwhile
    except (RecordError, OSError) as exc:
        seen.damaged.append({"name": path.name, "reason": str(getattr(exc, "strerror", None) or exc)})
        return
    if record["system"] != system:
        return
    on = datetime.fromtimestamp(record["began"], zone).date()
    is_confirmation = checklist.PLAYBOOK in record["playbook"].split("+")
    for item in items:
        if is_confirmation:
            # What was said counts although the run failed later; what it could not record is not here.
            found, kept = checklist.read_confirmation(record, item), seen.confirmed
        else:
            found, kept = checklist.read_proof(record, item, on), seen.proven
        if found and item["name"] not in kept:
            kept[item["name"]] = found
