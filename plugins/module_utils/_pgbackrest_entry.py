# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the journal of a restore of a whole cluster says: how far it is, and what of it is kept. Private to this collection."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._path_swap import identify
from ansible_collections.runbook.ops.plugins.module_utils._pgbackrest import iso, parse_target

OPEN = ("preparing", "prepared", "swapping", "swapped")
UNDER_WAY = ("swapping", "swapped", "reverting")

Entry = dict[str, Any]


def is_further(entry: Mapping[str, Any], target: datetime) -> bool:
    """Return whether what was recovered to ``target`` is being put in place already."""
    return entry.get("stage") in ("swapping", "swapped") and entry["target"] == iso(target)


def open_words(entry: Mapping[str, Any]) -> str:
    """Return what is to be done first; the words in brackets are those of the role point_in_time."""
    back = "state reverted (-e point_in_time_state=reverted)"
    if entry["stage"] == "reverting":
        return f"going back from the restore to {entry['target']} was interrupted: end it with {back}"
    if entry["stage"] == "swapping":
        again = f"state swapped (point_in_time_state=restored with the same moment, {entry['target']})"
        return f"the exchange was interrupted: finish it with {again}, or go back with {back}"
    finish = "state pruned (-e point_in_time_state=finished)"
    return f"the restore to {entry['target']} is in place and not finished: finish it with {finish}, or go back with {back}"


def in_place(entry: Mapping[str, Any] | None) -> str | None:
    """Return the moment that the live cluster was brought back to; None where it was not, or where that is not finished."""
    placed = (entry or {}).get("placed")
    if not entry or not placed or entry["stage"] in UNDER_WAY:
        return None
    live = identify(placed["item"]["live"])
    return str(placed["target"]) if live is not None and live == placed["item"]["new_id"] else None


def can_go_back(entry: Entry | None) -> bool:
    """Return whether what was live before the last restore that was put in place is still kept."""
    if not entry or in_place(entry) is None:
        return False
    before = identify(entry["placed"]["item"]["before"])
    return before is not None and before == entry["placed"]["item"]["old_id"]


def kept_with(entry: Entry, path: str) -> list[dict[str, Any]]:
    """Return what is kept now: what is there of it, and only under names that we have given."""
    since = iso(datetime.now(timezone.utc).replace(microsecond=0))
    listed = [one for one in entry["kept"] if one["path"] != path] + [{"path": path, "since": since}]
    return [one for one in listed if Path(one["path"]).is_dir()]


def old_ones(entry: Entry | None, *, keep_days: float) -> list[str]:
    """Return what is kept, is there, and is old enough to go."""
    border = datetime.now(timezone.utc) - timedelta(days=keep_days)
    kept = entry["kept"] if entry else []
    return [one["path"] for one in kept if parse_target(one["since"]) <= border and Path(one["path"]).is_dir()]
