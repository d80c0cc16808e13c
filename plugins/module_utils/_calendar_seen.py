# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of the calendar ran, and what was missed. Private to this collection."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
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
    entry: str | None = None  # of the calendar, where the run was told


def share(runs: Sequence[Run], due: Mapping[str, Sequence[float]]) -> dict[str, list[Run]]:
    """Return which of a playbook's runs belong to which of its entries, one at most each.

    A run that was told its entry is that one's. Another is that of the nearest time before it, once; where several were due
    then, first that of whichever is due more often.

    :param due: when each entry was due, by its slug
    """
    shared: dict[str, list[Run]] = {slug: [] for slug in due}
    taken: set[tuple[str, float]] = set()
    for run in runs:
        nearest = {}
        for slug, times_ in due.items():
            place = bisect_right(times_, run.began + EARLY_SECONDS)
            if place and run.entry in (None, slug):
                nearest[slug] = times_[place - 1]
        if nearest:
            chosen = max(nearest, key=lambda one: (nearest[one], (one, nearest[one]) not in taken, len(due[one])))
            taken.add((chosen, nearest[chosen]))
            shared[chosen].append(run)
    return shared


def judged_since(first: Mapping[tuple[str, str | None], float], playbook: str, slug: str) -> float | None:
    """Return since when an entry is in use, as far as records tell: what was due before is not judged. None: no record at all.

    :param first: when the first record was left, by playbook and entry
    """
    own = first.get((playbook, slug))
    if own is not None:
        return own
    return min((at for (name, _entry), at in first.items() if name == playbook), default=None)


def seen(
    entry: Mapping[str, Any],
    own: Sequence[Run],
    *,
    due: Sequence[float],
    until: float,
    now: float,
) -> dict[str, Any]:
    """Return what became of ``entry``.

    :param own: the runs that may be its, in the order of time
    :param due: when it was due within the period
    :param until: end of the period
    """
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
