# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a report says, as data: its pages only put it into words and pictures. Private to this collection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from statistics import median
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils import _calendar_seen as seen
from ansible_collections.runbook.ops.plugins.module_utils._attention import attention
from ansible_collections.runbook.ops.plugins.module_utils._calendar import occurrences
from ansible_collections.runbook.ops.plugins.module_utils._findings import GROUPS, compare
from ansible_collections.runbook.ops.plugins.module_utils._kpis import judge
from ansible_collections.runbook.ops.plugins.module_utils._playbook_name import playbook_name
from ansible_collections.runbook.ops.plugins.module_utils._report_gather import DAY, DRAWN_DAYS, Gathered
from ansible_collections.runbook.ops.plugins.module_utils._report_topics import capacity_of, draw_list, topic_of
from ansible_collections.runbook.ops.plugins.module_utils._schedule import slug_of

VERSION = 1
FOREVER = ("full", "days", "unknown", "open", "steady")  # the order in which capacity is told


def make_report(
    gathered: Gathered,
    schedule: Sequence[Mapping[str, Any]],
    *,
    zone: str | None,
    now: float,
    title: str = "",
    checklist: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """Return the report, JSON types only. The same records make the same report.

    :param schedule: the entries of the calendar
    :param now: what is due later is not missed yet
    :param checklist: its items, each with who did it when
    """
    period = gathered.period
    figures = _figures(gathered)
    large, small = draw_list(figures)
    report: dict[str, Any] = {
        "report": VERSION,
        "system": gathered.system,
        "title": title or gathered.system,
        "period": {
            **{name: getattr(period, name) for name in ("kind", "name", "label", "zone")},
            **{"since": iso(period.since), "until": iso(period.until), "before": gathered.before.label},
        },
        "findings": _findings(gathered),
        "kpis": [judge(kpi, gathered.looks[place], days=period.days) for place, kpi in enumerate(gathered.kpis)],
        "calendar": _calendar(schedule, gathered, zone, now),
        "checklist": [dict(one) for one in checklist],
        "playbooks": _playbooks(gathered),
        "capacity": _capacity(gathered),
        "topics": large,
        "figures": small,
        "drawn_since": iso(_drawn_since(gathered)),
        "records": {
            "read": gathered.read,
            "damaged": gathered.damaged,
            "last_at": iso(gathered.last_at) if gathered.last_at else None,
        },
    }
    report["attention"] = attention(report)
    report["counts"] = _counts(report)
    report["verdict"] = verdict(report)
    return report


def iso(at: float) -> str:
    """Return a time as ISO 8601 in UTC."""
    return datetime.fromtimestamp(at, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def verdict(report: Mapping[str, Any]) -> str:
    """Return one or two sentences that say it all."""
    if not report["records"]["read"]:
        return "There is no record of this period: nothing ran, or nothing was recorded."
    items, counts = report["attention"], report["counts"]
    critical = sum(item["severity"] == "critical" for item in items)
    if not items:
        first = "Nothing needs attention."
    else:
        first = f"{len(items)} {'thing needs' if len(items) == 1 else 'things need'} attention"
        first += f", {critical} of them critical." if critical else "."
    return f"{first} Since the period before, {counts['new']} new, {counts['fixed']} fixed, {counts['unchanged']} unchanged."


def _counts(report: Mapping[str, Any]) -> dict[str, int]:
    calendar = report["calendar"]
    return {
        "attention": len(report["attention"]),
        **{group: len(report["findings"][group]) for group in GROUPS},
        "runs": sum(one["runs"] for one in report["playbooks"]),
        "failed": sum(one["failed"] + one["interrupted"] for one in report["playbooks"]),
        "changes": sum(one["changes"] for one in report["playbooks"]),
        "due": sum(one["due"] for one in calendar),
        "missed": sum(one["missed"] for one in calendar),
    }


def _findings(gathered: Gathered) -> dict[str, list[dict[str, Any]]]:
    groups = compare(gathered.now, gathered.then)
    for found in groups.values():
        for one in found:
            one["since"] = iso(one["since"]) if one["since"] is not None else None
            one["seen_at"] = iso(one["seen_at"])
    return groups


def _calendar(
    schedule: Sequence[Mapping[str, Any]], gathered: Gathered, zone: str | None, now: float
) -> list[dict[str, Any]]:
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
        told.append({**one, "problem": problems[slug], "slots": []} if slug in problems else one)
    return told


def _entry(
    entry: Mapping[str, Any], runs: Sequence[seen.Run], due: Sequence[float], gathered: Gathered, now: float
) -> dict[str, Any]:
    period = gathered.period
    end = min(period.until, now)
    told = seen.seen(entry, runs, due=due, until=end, now=now)
    count = round(period.days) if period.days <= 32 else -(-round(period.days) // 7)
    until = period.since + max(1, count) * (DAY if period.days <= 32 else 7 * DAY)
    slots = seen.slots(told.pop("told"), period.since, max(until, period.until), max(1, count))
    return {**told, "missed_at": [iso(at) for at in told["missed_at"]], "slots": slots, "problem": None}


def _playbooks(gathered: Gathered) -> list[dict[str, Any]]:
    rows = []
    for playbook, every in sorted(gathered.runs.items()):
        runs = [run for run in every if run.began < gathered.period.until]
        if not runs:
            continue
        last = runs[-1]
        times = [run.seconds for run in runs if run.seconds is not None]
        rows.append(
            {
                "playbook": playbook,
                "runs": len(runs),
                **{name: sum(run.status == name for run in runs) for name in ("failed", "interrupted")},
                "changes": sum(run.changes for run in runs),
                "median_seconds": round(median(times), 1) if times else None,
                "last_at": iso(last.began),
                "last_status": last.status,
                "last_check_status": last.check_status,
                "failure": last.failure if last.status == "failed" else None,
            }
        )
    return rows


def _drawn_since(gathered: Gathered) -> float:
    return min(gathered.period.since, gathered.period.until - DRAWN_DAYS * DAY)


def _figures(gathered: Gathered) -> list[dict[str, Any]]:
    """Return each value that was measured in the period, with what is drawn of it."""
    figures, since = [], _drawn_since(gathered)
    for key, series in sorted(gathered.series.items()):
        check = gathered.checks[key]
        points = [point for point in series.points() if point[0] >= since]
        if not points or not series.last or series.last[0] < gathered.period.since:
            continue
        figures.append(
            {
                **{name: check.get(name) for name in ("host", "id", "name", "section", "unit", "limit", "status")},
                "topic": topic_of(check["id"], check.get("unit")),
                "value": series.last[1],
                "lowest": min(value for _at, value in points),
                "highest": max(value for _at, value in points),
                "points": points,
            }
        )
    return figures


def _capacity(gathered: Gathered) -> list[dict[str, Any]]:
    found = []
    for key, series in sorted(gathered.series.items()):
        check = gathered.checks[key]
        if not series.last or series.last[0] < gathered.period.since:
            continue
        figure = {name: check.get(name) for name in ("host", "id", "name", "unit", "limit")}
        told = capacity_of({**figure, "value": series.last[1]}, series.points(), now=gathered.period.until)
        if told:
            found.append(told)
    return sorted(found, key=lambda one: (FOREVER.index(one["verdict"]), one["days"] or 0, one["host"], one["name"]))
