# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What became of each entry of the calendar in a period. Private to this collection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils import _calendar_seen as seen
from ansible_collections.runbook.ops.plugins.module_utils import _report_words as words
from ansible_collections.runbook.ops.plugins.module_utils._calendar import occurrences
from ansible_collections.runbook.ops.plugins.module_utils._calendar_words import explain
from ansible_collections.runbook.ops.plugins.module_utils._playbook_name import playbook_name
from ansible_collections.runbook.ops.plugins.module_utils._report_gather import DAY, Gathered
from ansible_collections.runbook.ops.plugins.module_utils._schedule import slug_of


def calendar_of(
    schedule: Sequence[Mapping[str, Any]], gathered: Gathered, zone: str | None, now: float
) -> list[dict[str, Any]]:
    """Return a row for each entry of ``schedule``, in their order.

    :param now: what is due later is not missed yet
    """
    end = min(gathered.period.until, now)
    due: dict[str, dict[str, list[float]]] = {}  # by playbook and entry
    problems: dict[str, str] = {}
    for entry in schedule:
        playbook, slug = playbook_name([entry["playbook"]]), slug_of(entry["name"])
        since = seen.judged_since(gathered.first, playbook, slug)
        try:
            times = [] if entry.get("done_by") else seen.times(occurrences, entry, zone, gathered.period.since, end)
        except ValueError as exc:
            problems[slug] = str(exc)
            continue
        if not times:
            continue
        if since is None:
            problems[slug] = f"not judged: no run of {playbook} has left a record yet"
        else:
            due.setdefault(playbook, {})[slug] = [at for at in times if at >= since - seen.LATE_SECONDS]
    runs: dict[str, list[seen.Run]] = {}
    for playbook, entries in due.items():
        runs.update(seen.share(gathered.runs.get(playbook, ()), entries))
    times_of = {slug: times for entries in due.values() for slug, times in entries.items()}
    told = []
    for entry in schedule:
        slug = slug_of(entry["name"])
        one = _entry(entry, runs.get(slug, ()), times_of.get(slug, []), gathered, now)
        one["when"] = _when(entry, zone)
        told.append({**one, "problem": problems[slug], "slots": []} if slug in problems else one)
    return told


def _entry(
    entry: Mapping[str, Any],
    runs: Sequence[seen.Run],
    due: Sequence[float],
    gathered: Gathered,
    now: float,
) -> dict[str, Any]:
    period = gathered.period
    end = min(period.until, now)
    told = seen.seen(entry, runs, due=due, until=end, now=now)
    count = round(period.days) if period.days <= 32 else -(-round(period.days) // 7)
    until = period.since + max(1, count) * (DAY if period.days <= 32 else 7 * DAY)
    slots = seen.slots(told.pop("told"), period.since, max(until, period.until), max(1, count))
    return {**told, "missed_at": [words.iso(at) for at in told["missed_at"]], "slots": slots, "problem": None}


def _when(entry: Mapping[str, Any], zone: str | None) -> str:
    try:
        return explain(entry, zone)
    except ValueError:
        return str(entry.get("cron") or entry.get("calendar"))  # why it cannot be read stands beside it
