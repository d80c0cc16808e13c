# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""When the entries of the calendar are due: the one place that knows. Private to this collection.

An entry is due by the wall clock of its time zone, as systemd has it: an hour that comes twice counts once, the first time. One that
does not exist, because the clocks are put forward, systemd would leave out; here it is made up for at the first moment after it. What is
due every hour of every day is counted in UTC: for it, no hour is missing and none comes twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, datetime, time, timedelta, timezone
from functools import lru_cache
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from ansible_collections.runbook.ops.plugins.module_utils._calendar_cron import parse_cron
from ansible_collections.runbook.ops.plugins.module_utils._calendar_gaps import DAY, FIRST_YEAR, LAST_YEAR, gaps
from ansible_collections.runbook.ops.plugins.module_utils._calendar_rule import CalendarError, Rule, check_zone
from ansible_collections.runbook.ops.plugins.module_utils._calendar_systemd import parse_calendar, written

LOOK_BACK = (1, 8, 32, 100, 400, 1500)  # days


class Due(NamedTuple):
    """An entry that is understood: when it is due, in which zone, and what of it is made up for."""

    rules: list[Rule]
    zone: str
    made_up: list[datetime]  # in UTC


def understand(entry: Mapping[str, Any], zone: str | None) -> Due:
    """Return when ``entry`` is due.

    :param entry: has ``cron`` or ``calendar``, and a ``name`` for people
    :param zone: time zone of those that name none; UTC without one
    :raises CalendarError: it cannot be read.
    """
    rules, own = rules_of(entry)
    name = own or zone or "UTC"
    check_zone(name)
    if all(rule.is_hourly for rule in rules) and _is_the_same_in_utc(rules, name):
        return Due(rules, "UTC", [])
    return Due(rules, name, _made_up(rules, name))


def occurrences(entry: Mapping[str, Any], zone: str | None, since: datetime, until: datetime) -> list[datetime]:
    """Return when ``entry`` is due from ``since`` until before ``until``, in UTC.

    :raises CalendarError: it cannot be read.
    """
    due = understand(entry, zone)
    return sorted({*_walk(due, since, until), *(at for at in due.made_up if since <= at < until)})


def latest(entry: Mapping[str, Any], zone: str | None, at: datetime) -> datetime | None:
    """Return when ``entry`` was due the last time until ``at``; None where that is years ago, or never was."""
    for days in LOOK_BACK:
        found = occurrences(entry, zone, at - days * DAY, at + timedelta(seconds=1))
        if found:
            return found[-1]
    return None


def upcoming(entry: Mapping[str, Any], zone: str | None, at: datetime, count: int = 1) -> list[datetime]:
    """Return the next times after ``at`` at which ``entry`` is due, at most ``count``."""
    found: list[datetime] = []
    for days in LOOK_BACK:
        found = occurrences(entry, zone, at + timedelta(seconds=1), at + days * DAY)
        if len(found) >= count:
            break
    return found[:count]


def to_oncalendar(entry: Mapping[str, Any], zone: str | None) -> list[str]:
    """Return the calendar expressions of systemd that are due when ``entry`` is, several where one cannot say it.

    :raises CalendarError: it cannot be read.
    """
    due = understand(entry, zone)
    made_up = [f"{at:%Y-%m-%d %H:%M:%S} UTC" for at in due.made_up]
    return [f"{written(rule)} {due.zone}" for rule in due.rules] + made_up


def _walk(due: Due, since: datetime, until: datetime) -> Iterator[datetime]:
    """Yield what the rules admit, day by day of the wall clock."""
    place = check_zone(due.zone)
    day, last = (one.astimezone(place).date() for one in (since, until))
    while day <= last:
        for rule in due.rules:
            if _admits(rule, day):
                for at in _moments(rule, day, place):
                    if since <= at < until:
                        yield at
        day += DAY


def _admits(rule: Rule, day: date) -> bool:
    if rule.weekdays is not None and day.weekday() not in rule.weekdays:
        return False
    if rule.months is not None and day.month not in rule.months:
        return False
    if rule.years is not None and day.year not in rule.years:
        return False
    number = _days_left(day) if rule.from_end else day.day
    return rule.days is None or number in rule.days


def _days_left(day: date) -> int:
    """Return which day it is counted from the month's end, which is 1."""
    following = date(day.year + day.month // 12, day.month % 12 + 1, 1)
    return (following - day).days


def _moments(rule: Rule, day: date, place: ZoneInfo) -> Iterator[datetime]:
    begin = datetime.combine(day, time(), place)
    # On nearly every day the clocks are not changed, and one subtraction is enough.
    steady = begin.utcoffset() if begin.utcoffset() == (begin + DAY).utcoffset() and _exists(begin, place) else None
    for clock in _clocks(rule):
        local = datetime.combine(day, clock)
        if steady is not None:
            yield (local - steady).replace(tzinfo=timezone.utc)
        elif _exists(local, place):
            yield local.replace(tzinfo=place).astimezone(timezone.utc)


@lru_cache(maxsize=64)
def _clocks(rule: Rule) -> tuple[time, ...]:
    return tuple(
        time(hour, minute, second)
        for hour in sorted(rule.hours)
        for minute in sorted(rule.minutes)
        for second in sorted(rule.seconds)
    )


def _exists(local: datetime, place: ZoneInfo) -> bool:
    wall = local.replace(tzinfo=None)
    return wall.replace(tzinfo=place).astimezone(timezone.utc).astimezone(place).replace(tzinfo=None) == wall


def _made_up(rules: list[Rule], zone: str) -> list[datetime]:
    found = []
    for gap in gaps(zone):
        day = gap.start.date()
        missed = any(
            gap.start <= datetime.combine(one, clock) < gap.end
            for rule in rules
            for one in sorted({day, gap.end.date()})
            if _admits(rule, one)
            for clock in _clocks(rule)
        )
        if missed:
            found.append(gap.at)
    return found


def _is_the_same_in_utc(rules: list[Rule], zone: str) -> bool:
    """Return whether the minutes stay what they are whatever the offset of ``zone``: those of half an hour move some of them."""
    place = check_zone(zone)
    days = (datetime(year, month, 1, tzinfo=timezone.utc) for year in (FIRST_YEAR, LAST_YEAR) for month in range(1, 13))
    shifts = {int((day.astimezone(place).utcoffset() or timedelta()).total_seconds()) // 60 % 60 for day in days}
    return all({(minute - shift) % 60 for minute in rule.minutes} == rule.minutes for rule in rules for shift in shifts)


def rules_of(entry: Mapping[str, Any]) -> tuple[list[Rule], str | None]:
    """Return the rules of an entry of a calendar, any of which makes it due, and the time zone that it names itself.

    :raises CalendarError: it has neither ``cron`` nor ``calendar``, or one that cannot be read.
    """
    name, cron, calendar = entry.get("name") or "an entry", entry.get("cron"), entry.get("calendar")
    if bool(cron) == bool(calendar):
        raise CalendarError(f"{name}: give it either cron or calendar")
    try:
        return (parse_cron(str(cron)), None) if cron else parse_calendar(str(calendar))
    except CalendarError as exc:
        raise CalendarError(f"{name}: {exc}") from None
