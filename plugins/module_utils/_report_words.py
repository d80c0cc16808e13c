# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Numbers, times and states of a report as people read them. Private to this collection."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._units import human_duration, human_size

SHORT_MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
GROUP_TITLES = {
    "new": ("New", "bad now, and good or not looked at in the period before"),
    "unchanged": ("Unchanged", "bad now, and bad at the end of the period before"),
    "fixed": ("Fixed", "bad in the period before, good now"),
    "passing": ("Came and went", "bad for a while, good again at the end"),
    "unseen": ("Not looked at again", "bad in the period before, and no run has looked since"),
}
SYMBOLS = {"percent": "%", "seconds": "s", "minutes": "min", "hours": "h"}
SHAPES = {"critical": "■", "warning": "▲", "unknown": "◆", "ok": "●"}
VERDICTS = {"met": ("ok", "met"), "missed": ("critical", "missed"), "unknown": ("unknown", "cannot tell")}
MOST_FOUND = 300  # findings of a group that are listed
IN_DATA = "all of them stand in the report's .json"
NOTHING = "\u2013"
SLOTS = {
    "ran": "ran",
    "warned": "ran, and found something",
    "late": "ran late",
    "failed": "failed",
    "missed": "did not run",
    "pending": "not due yet",
    "none": "nothing was due",
}


def clean(text: Any) -> str:
    """Return ``text`` on one line, without what is not printable: marks that turn the direction of writing, for example."""
    return " ".join("".join(sign if sign.isprintable() else " " for sign in str(text)).split())


def figure(value: Any, unit: str | None) -> str:
    """Return a value with its unit."""
    if value is None:
        return "\u2013"
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return clean(f"{value} {unit or ''}")
    if unit in ("B", "bytes"):
        return human_size(value)
    if unit in ("s", "seconds"):
        return duration(value)
    return f"{number(value)} {clean(SYMBOLS.get(unit or '', unit or ''))}".rstrip()


def number(value: float) -> str:
    """Return ``value`` with as many digits as matter."""
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}".replace(",", "\u202f")
    size = abs(value)
    if size >= 1000:
        return f"{value:,.0f}".replace(",", "\u202f")
    text = f"{value:.{1 if size >= 10 else 2 if size >= 1 else 3}f}".rstrip("0").rstrip(".")
    return text if text not in ("0", "-0") else f"{value:.2g}"


def day(at: float | str, *, year: bool = False) -> str:
    """Return a day in UTC, as ``22 Nov``."""
    when = at_of(at)
    return f"{when.day} {SHORT_MONTHS[when.month - 1]}" + (f" {when.year}" if year else "")


def minute(at: float | str) -> str:
    """Return a time in UTC, as ``22 Nov 2026 04:00``."""
    return f"{day(at, year=True)} {at_of(at):%H:%M}"


def iso(at: float) -> str:
    """Return a time as ISO 8601 in UTC."""
    return datetime.fromtimestamp(at, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def at_of(at: float | str) -> datetime:
    """Return a time of a report, which has them as text and in its series as seconds."""
    if isinstance(at, str):
        return datetime.strptime(at, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)
    return datetime.fromtimestamp(at, timezone.utc)


def duration(seconds: float | None) -> str:
    """Return how long something took: ``5 h 7 min``."""
    if seconds is None:
        return NOTHING
    told = re.sub(r"\bm\b", "min", re.sub(r"(\d)([a-z]+)", "\\1 \\2", human_duration(seconds)))
    return told or "0 s"


def growth(one: Mapping[str, Any]) -> str:
    """Return by how much something grows in a month."""
    per_month = one["per_month"]
    if per_month is None:
        return "\u2013"
    if not round(per_month, 2):
        return "none"
    sign = "+" if per_month >= 0 else "\u2212"
    unit = "points" if one["unit"] == "%" else one["unit"]
    return f"{sign}{figure(abs(per_month), unit)}"


def until_full(one: Mapping[str, Any]) -> str:
    """Return when something is full."""
    if one["verdict"] == "days":
        high = f"{one['high_days']:.0f}" if one["high_days"] is not None else "never"
        return f"{one['days']:.0f} days ({one['low_days']:.0f} to {high})"
    return "now" if one["verdict"] == "full" else str(one["reason"])


def finding_when(one: Mapping[str, Any], group: str) -> str:
    """Return since when something is bad, or how often it was."""
    if group in ("new", "unchanged"):
        return f"since {day(one['since'], year=True)}" if one["since"] else ""
    if group == "passing":
        return f"{one['bad_looks']} of {one['looks']} looks"
    return f"last seen {day(one['seen_at'], year=True)}"


def due_state(item: Mapping[str, Any]) -> str:
    """Return how an item of the checklist stands, in a word or two."""
    if item["on"] is None:
        return "not yet done"
    if item["due"] is None:
        return "not good"
    if item["overdue_days"]:
        return "overdue"
    return "done" if item["status"] == "ok" else str(item["status"])


def done_by(item: Mapping[str, Any]) -> str:
    """Return who confirmed an item, or what proved it, and its figure."""
    if item["on"] is None:
        return "nobody"
    shown = f"{figure(item['value'], item['unit'])}, " if item["value"] is not None else ""
    note = str(item["how"]).partition(f" on {item['on']}: ")[2] if item["by"] else ""
    return f"{shown}{item['by'] or item['how']}" + (f": {note}" if note else "")


def due_next(item: Mapping[str, Any]) -> str:
    """Return when an item is due next."""
    if item["due"] is None:
        return "now"
    late = item["overdue_days"]
    return item["due"] + (f", overdue by {late} {'day' if late == 1 else 'days'}" if late else "")


def target(kpi: Mapping[str, Any]) -> str:
    """Return a target with its side."""
    return f"{'≥' if kpi['better'] == 'higher' else '≤'} {figure(kpi['target'], kpi['unit'])}"
