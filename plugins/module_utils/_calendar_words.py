# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""When an entry of the calendar is due, in words. Private to this collection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._calendar import understand
from ansible_collections.runbook.ops.plugins.module_utils._calendar_rule import Rule

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTHS: tuple[str, ...] = ("January", "February", "March", "April", "May", "June")
MONTHS += ("July", "August", "September", "October", "November", "December")
WEEKS = {
    frozenset(range(first, first + 7)): word
    for first, word in ((1, "first"), (8, "second"), (15, "third"), (22, "fourth"))
}
FEW = 6  # so many times of a day are told one by one


def explain(entry: Mapping[str, Any], zone: str | None) -> str:
    """Return when ``entry`` is due, such as ``every first Monday of the month at 09:00 Europe/Berlin``.

    :raises CalendarError: it cannot be read.
    """
    due = understand(entry, zone)
    told = " and ".join(f"{_date(rule)} {_clock(rule)}".strip() for rule in due.rules)
    return told if all(rule.is_hourly for rule in due.rules) else f"{told} {due.zone}"


def _date(rule: Rule) -> str:
    if rule.is_hourly:
        return ""
    names = [WEEKDAYS[day] for day in sorted(rule.weekdays or ())]
    week = WEEKS.get(rule.days or frozenset()) if not rule.from_end else None
    week = "last" if rule.from_end and rule.days == frozenset(range(1, 8)) else week
    months = "the month" if rule.months is None else _join([MONTHS[month - 1] for month in sorted(rule.months)])
    years = "" if rule.years is None else f" {_join([str(year) for year in sorted(rule.years)])}"
    if rule.days is None:
        days = _run(names, sorted(rule.weekdays or ())) if names else "day"
        return f"every {days}{'' if rule.months is None else f' in {months}'}{years}"
    if week and names:
        return f"every {week} {_join(names)} of {months}{years}"
    numbers = _join([str(day) for day in sorted(rule.days)])
    which = f"day {numbers}{' from the end' if rule.from_end else ''} of {months}{years}"
    return f"every {_run(names, sorted(rule.weekdays or ()))} that is {which}" if names else f"on {which}"


def _clock(rule: Rule) -> str:
    hours, minutes, seconds = sorted(rule.hours), sorted(rule.minutes), sorted(rule.seconds)
    if len(seconds) > 1:
        step = _step(seconds, 60)
        return (
            f"every {step} seconds"
            if step and rule.is_hourly and len(minutes) == 60
            else f"at {len(hours) * len(minutes) * len(seconds)} times of a day"
        )
    second = f":{seconds[0]:02}" if seconds[0] else ""
    step = _step(minutes, 60)
    if len(hours) == 24:
        if len(minutes) == 1:
            return f"every hour at minute {minutes[0]}"
        return (
            f"every {step} minutes".replace("every 1 minutes", "every minute")
            if step
            else f"every hour at the minutes {_join([str(one) for one in minutes])}"
        )
    if len(hours) * len(minutes) <= FEW:
        return "at " + _join([f"{hour:02}:{minute:02}{second}" for hour in hours for minute in minutes])
    often = f"every {step} minutes" if step else f"at the minutes {_join([str(one) for one in minutes])}"
    return f"{often} of the hours {_run([str(hour) for hour in hours], hours)}"


def _step(values: Sequence[int], of: int) -> int | None:
    """Return how far the values are from each other where that is the same for all, round the clock."""
    steps = {(later - earlier) % of for earlier, later in zip(values, [*values[1:], values[0] + of])}
    return steps.pop() if len(steps) == 1 and len(values) > 1 else None


def _run(names: Sequence[str], values: Sequence[int]) -> str:
    if len(values) > 2 and values[-1] - values[0] == len(values) - 1:
        return f"{names[0]} to {names[-1]}"
    return _join(names)


def _join(names: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
