# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What became of the entries of a calendar: which are due, which failed, which did not run. Private to this collection."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._calendar import latest, upcoming
from ansible_collections.runbook.ops.plugins.module_utils._calendar_words import explain
from ansible_collections.runbook.ops.plugins.module_utils._checks import make_check
from ansible_collections.runbook.ops.plugins.module_utils._units import human_duration

SECTION = "Calendar"


def written_at(at: datetime) -> str:
    """Return a moment as it is kept."""
    return at.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def moment(text: str | None) -> datetime | None:
    """Return the moment that was kept."""
    return datetime.fromisoformat(text.replace("Z", "+00:00")) if text else None


def service_of(unit: str) -> str:
    """Return what a timer starts; another unit is itself."""
    return unit[: -len(".timer")] + ".service" if unit.endswith(".timer") else unit


def due_now(
    config: Mapping[str, Any], results: Mapping[str, Mapping[str, Any]], *, since: datetime, now: datetime
) -> list[str]:
    """Return the jobs that are to be started: each that was due after it was started last, once however often that was.

    :param results: what became of each job the last time, by its name
    :param since: since when the calendar is in use here as it is now: what was due before, by a time that was set since, is nobody's fault
    """
    found = []
    for slug, entry in config["entries"].items():
        was_due = None if entry["done_by"] else latest(entry, config["time_zone"], now)
        started = moment((results.get(slug) or {}).get("started_at")) or since
        if was_due and was_due > max(started, since):
            found.append(slug)
    return found


def judge_entry(
    slug: str,
    entry: Mapping[str, Any],
    config: Mapping[str, Any],
    result: Mapping[str, Any],
    *,
    since: datetime,
    now: datetime,
) -> dict[str, Any]:
    """Return the check of one entry: red when it failed, or did not run when it was due.

    :param result: ``status`` (running, ok, failed, timed out, interrupted, unknown), ``started_at``, ``ended_at``, ``message``; empty before its first run.
        Of a unit that somebody else installed also ``delay_seconds``, by which its timer elapses later.
    """
    zone, status = config["time_zone"], result.get("status")
    started = moment(result.get("started_at"))
    delay = result.get("delay_seconds", 0) if entry["done_by"] else config["delay_seconds"]
    was_due = latest(entry, zone, now - timedelta(seconds=config["grace_seconds"] + delay))
    is_missed = bool(was_due and was_due > (started or since) and was_due > since and status != "running")
    words, unit = explain(entry, zone), f"runbook-ops-schedule-{config['system']}@{slug}.service"
    source = service_of(entry["done_by"]) if entry["done_by"] else unit
    if is_missed:
        told = f"was due at {_minute(was_due)} and did not run"
    elif status in (None, "unknown"):
        told = "has not run yet"
    elif status == "missing":
        told = str(result.get("message"))
    elif status == "running":
        told = f"runs since {_minute(started)}"
    elif status == "ok":
        told = f"went well at {_minute(started)}, took {human_duration(float(result.get('seconds') or 0))}"
    else:
        told = f"{status} at {_minute(started)}: {result.get('message') or 'it says no reason'}"
    bad = is_missed or status in ("failed", "timed out", "interrupted", "missing")
    return make_check(
        f"schedule:{config['system']}:{slug}",
        name=entry["name"],
        section=SECTION,
        status="critical" if bad else "ok",
        value=None if started is None else round(max(0.0, (now - started).total_seconds())),
        unit="s",
        detail=f"{entry['playbook']}, {words}: {told}; next {_next(entry, zone, now)}",
        remedy=f"journalctl -u {source} -n 50; then systemctl start {source}"
        if config["with"] == "systemd" or entry["done_by"]
        else f"read the log of cron, then run {' '.join(entry['argv'])}",
    )


def _next(entry: Mapping[str, Any], zone: str | None, now: datetime) -> str:
    found = upcoming(entry, zone, now)
    return _minute(found[0]) if found else "never"


def _minute(at: datetime | None) -> str:
    return at.astimezone(timezone.utc).strftime("%Y-%m-%d %H:%M UTC") if at else "a time unknown"
