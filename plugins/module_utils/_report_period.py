# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The week, month, quarter or year that a report is about, by the wall clock of a time zone. Private to this collection."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone, tzinfo
from typing import NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

KINDS = ("week", "month", "quarter", "year")
MONTHS = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]


class Period(NamedTuple):
    """From ``since`` until before ``until``, seconds since 1970. ``name`` is for files, ``label`` for people."""

    kind: str
    name: str
    label: str
    since: float
    until: float
    zone: str

    @property
    def days(self) -> float:
        """How long it is."""
        return (self.until - self.since) / 86400


def period_of(kind: str, at: datetime, zone: str | None, *, current: bool = False) -> Period:
    """Return the last period that was over at ``at``, or with ``current`` the one that then runs, as far as it has come.

    :raises ValueError: there is no such period or time zone.
    """
    place = _zone(zone)
    first = _first_day(kind, at.astimezone(place).date())
    if not current:
        return _make(kind, _first_day(kind, first - timedelta(days=1)), place, zone)
    whole = _make(kind, first, place, zone)
    told = at.astimezone(timezone.utc)
    label = f"{whole.label}, until {told.day} {MONTHS[told.month - 1]} {told:%H:%M} UTC"
    return whole._replace(label=label, until=at.timestamp())


def before(period: Period) -> Period:
    """Return the whole period before ``period``."""
    place = _zone(period.zone)
    first = datetime.fromtimestamp(period.since, place).date()
    return _make(period.kind, _first_day(period.kind, first - timedelta(days=1)), place, period.zone)


def _zone(name: str | None) -> ZoneInfo:
    try:
        return ZoneInfo(name or "UTC")
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(
            f"this host knows no time zone {name!r}: correct ops_system.time_zone, or install tzdata"
        ) from None


def _first_day(kind: str, day: date) -> date:
    if kind == "week":
        return day - timedelta(days=day.weekday())
    if kind == "month":
        return day.replace(day=1)
    if kind == "quarter":
        return day.replace(month=(day.month - 1) // 3 * 3 + 1, day=1)
    if kind == "year":
        return day.replace(month=1, day=1)
    raise ValueError(f"period must be one of {', '.join(KINDS)}, not {kind!r}")


def _make(kind: str, first: date, place: tzinfo, zone: str | None) -> Period:
    days = {"week": 7, "month": 31, "quarter": 92, "year": 366}[kind]
    last = first + timedelta(days=days)
    end = last if kind == "week" else _first_day(kind, last)
    since, until = (datetime(day.year, day.month, day.day, tzinfo=place).timestamp() for day in (first, end))
    name, label = _names(kind, first, end - timedelta(days=1))
    return Period(kind, name, label, since, until, zone or "UTC")


def _names(kind: str, first: date, last: date) -> tuple[str, str]:
    if kind == "week":
        year, week, _day = first.isocalendar()
        begin = str(first.day) + ("" if first.month == last.month else f" {MONTHS[first.month - 1]}")
        begin += "" if first.year == last.year else f" {first.year}"
        return f"{year}-W{week:02}", f"Week {week}, {begin} to {last.day} {MONTHS[last.month - 1]} {last.year}"
    if kind == "month":
        return f"{first:%Y-%m}", f"{MONTHS[first.month - 1]} {first.year}"
    if kind == "quarter":
        number = (first.month + 2) // 3
        return f"{first.year}-Q{number}", f"Quarter {number} of {first.year}"
    return str(first.year), str(first.year)
