# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of the calendar ran, and what was missed. Private to this collection."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any, NamedTuple

EARLY_SECONDS = 60.0  # clocks differ a little
LATE_SECONDS = 3600.0
SHOWN = 12  # times that one entry spells out
ORDER = (
    "none",
    "pending",
    "ran",
    "warned",
    "late",
    "failed",
    "missed",
)  # of a slot with several, the last of these is shown
Occurrences = Callable[[Mapping[str, Any], "str | None", datetime, datetime], "list[datetime]"]


class Run(NamedTuple):
    """As much of a run as a calendar shows."""

    began: float
    playbook: str
    status: str
    check_status: str
    seconds: float | None
    changes: int
    user: str
    id: str
    failure: str | None


def seen(
    entry: Mapping[str, Any],
    runs: Mapping[str, Sequence[Run]],
    *,
    due: Sequence[float],
    until: float,
    now: float,
) -> dict[str, Any]:
    """Return what became of ``entry``.

    :param runs: those of each playbook, in the order of time
    :param due: when it was due within the period
    :param until: end of the period
    """
    own = runs.get(entry["playbook"], ())
    began = [run.began for run in own]
    told = []
    for index, at in enumerate(due):
        end = due[index + 1] if index + 1 < len(due) else max(until, at + 86400)
        place = bisect_left(began, at - EARLY_SECONDS)
        run = own[place] if place < len(own) and began[place] < end - EARLY_SECONDS else None
        told.append((at, _state(run, at, end, now)))
    counts = {state: sum(one == state for _at, one in told) for state in ORDER[1:]}
    return {
        "name": entry["name"],
        "playbook": entry["playbook"],
        "when": entry.get("cron") or entry.get("calendar"),
        "done_by": entry.get("done_by"),
        "due": len(told),
        **counts,
        "missed_at": [at for at, state in told if state == "missed"][-SHOWN:],
        "told": told,
    }


def _state(run: Run | None, at: float, end: float, now: float) -> str:
    if run is None:
        return "missed" if now >= min(end, at + LATE_SECONDS) else "pending"
    if run.status in ("failed", "interrupted"):
        return "failed"
    if run.began - at > LATE_SECONDS:
        return "late"
    return "warned" if run.check_status in ("warning", "critical") else "ran"


def slots(told: Sequence[tuple[float, str]], since: float, until: float, count: int) -> list[str]:
    """Return the state of each of ``count`` equal parts of a period: the worst of what was due in it."""
    states = ["none"] * count
    for at, state in told:
        index = min(count - 1, max(0, int((at - since) / (until - since) * count)))
        states[index] = max(states[index], state, key=ORDER.index)
    return states


def times(
    occurrences: Occurrences, entry: Mapping[str, Any], zone: str | None, since: float, until: float
) -> list[float]:
    """Return when ``entry`` is due, as seconds since 1970."""
    begin, end = (datetime.fromtimestamp(at, timezone.utc) for at in (since, until))
    return [at.timestamp() for at in occurrences(entry, zone, begin, end)]
