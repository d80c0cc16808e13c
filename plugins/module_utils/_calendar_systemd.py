# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""When something is due, as systemd writes it: read, and written. Private to this collection."""

from __future__ import annotations

import re

from ansible_collections.runbook.ops.plugins.module_utils._calendar_rule import (
    SPANS,
    WEEKDAYS,
    CalendarError,
    Rule,
    check_zone,
    number,
)

LONG = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
# What people write for it in cron and, without @, in systemd.
NICKNAMES = {
    "minutely": "*-*-* *:*:00",
    "hourly": "*-*-* *:00:00",
    "daily": "*-*-* 00:00:00",
    "midnight": "*-*-* 00:00:00",
    "weekly": "Mon *-*-* 00:00:00",
    "monthly": "*-*-01 00:00:00",
    "quarterly": "*-01,04,07,10-01 00:00:00",
    "semiannually": "*-01,07-01 00:00:00",
    "yearly": "*-01-01 00:00:00",
    "annually": "*-01-01 00:00:00",
}
ZONE = re.compile(r"(?:UTC|[A-Za-z][A-Za-z_]+(?:/[A-Za-z0-9_+-]+)+)\Z")
DATE = re.compile(r"(?:([^-~ ]+)-)?([^-~ ]+)([-~])([^-~ ]+)\Z")
PART = re.compile(r"(\*|\d+)(?:\.\.(\d+))?(?:/(\d+))?\Z")


def parse_calendar(text: str) -> tuple[list[Rule], str | None]:
    """Return the rule of a calendar expression of systemd, and the time zone that it names.

    :raises CalendarError: it is none, or one of a kind that we do not know.
    """
    words = text.split()
    zone = words.pop() if len(words) > 1 and ZONE.match(words[-1]) else None
    if len(words) == 1 and words[0].lower() in NICKNAMES:
        words = NICKNAMES[words[0].lower()].split()
    try:
        if zone:
            check_zone(zone)
        weekdays = _weekdays(words.pop(0)) if words and words[0][0].isalpha() else None
        date = words.pop(0) if words and ":" not in words[0] else "*-*-*"
        clock = words.pop(0) if words and ":" in words[0] else "00:00:00"
        if words or not text.strip():
            raise ValueError(f"{' '.join(words)!r} is not understood")
        return [_rule(weekdays, date, clock)], zone
    except ValueError as exc:
        raise CalendarError(f"{text!r} is no calendar expression that we know: {exc}") from None


def _rule(weekdays: frozenset[int] | None, date: str, clock: str) -> Rule:
    met, times = DATE.match(date), clock.split(":")
    if not met or len(times) not in (2, 3):
        raise ValueError("write it as 'Mon *-*-01..07 09:00:00'")
    parts = {
        "year": _part(met[1] or "*", "year"),
        "month": _part(met[2], "month"),
        "day": _part(met[4], "day", from_end=met[3] == "~"),
        "hour": _part(times[0], "hour"),
        "minute": _part(times[1], "minute"),
        "second": _part(times[2] if len(times) == 3 else "00", "second"),
    }
    full = {name: frozenset(range(low, high + 1)) for name, (low, high) in SPANS.items()}
    return Rule(
        minutes=parts["minute"] or full["minute"],
        hours=parts["hour"] or full["hour"],
        seconds=parts["second"] or full["second"],
        weekdays=weekdays,
        months=parts["month"],
        years=parts["year"],
        days=parts["day"],
        from_end=met[3] == "~" and parts["day"] is not None,
    )


def _part(text: str, name: str, *, from_end: bool = False) -> frozenset[int] | None:
    low, high = SPANS[name]
    found: set[int] = set()
    for one in text.split(","):
        met = PART.match(one)
        if not met:
            raise ValueError(f"{one!r} is no {name}: write *, a number, a..b or a/step")
        if met[1] == "*":
            if met[2] or met[3]:
                raise ValueError(f"{one!r}: systemd wants a number before the dots and the slash, such as {low}/5")
            return None
        first = number(met[1], low, high)
        last = number(met[2], low, high) if met[2] else high if met[3] else first
        step = int(met[3] or 1)
        if from_end and met[3]:  # so many days before the end, and then towards it
            first, last, step = _towards_end(first, met)
        if last < first or step < 1:
            raise ValueError(f"{one!r} runs backwards, or nowhere")
        found.update(range(first, last + 1, step))
    return None if len(found) == high - low + 1 else frozenset(found)


def _towards_end(first: int, met: re.Match[str]) -> tuple[int, int, int]:
    if met[2] or met[3] != "1":
        raise ValueError(f"{met[0]!r} from the month's end: write ~N, ~a..b or ~N/1")
    return 1, first, 1


def _weekdays(text: str) -> frozenset[int]:
    found: set[int] = set()
    for one in text.split(","):
        first, _dots, last = one.partition("..")
        ends = [_weekday(first), _weekday(last or first)]
        if ends[1] < ends[0]:
            raise ValueError(f"{one!r} runs backwards: a week begins on Monday")
        found.update(range(ends[0], ends[1] + 1))
    return frozenset(found)


def _weekday(text: str) -> int:
    for names in (LONG, tuple(name.lower() for name in WEEKDAYS)):
        if text.lower() in names:
            return names.index(text.lower())
    raise ValueError(f"{text!r} is no day of the week: write Mon, Tue, Wed, Thu, Fri, Sat or Sun")


def written(rule: Rule) -> str:
    """Return ``rule`` as a calendar expression of systemd, without a time zone."""
    weekdays = "" if rule.weekdays is None else _days_of_week(sorted(rule.weekdays)) + " "
    year = "*" if rule.years is None else _text_of(sorted(rule.years), "year")
    month = "*" if rule.months is None else _text_of(sorted(rule.months), "month")
    day = "*" if rule.days is None else _text_of(sorted(rule.days), "day", steps=not rule.from_end)
    clock = ":".join(
        _text_of(sorted(values), name)
        for name, values in (("hour", rule.hours), ("minute", rule.minutes), ("second", rule.seconds))
    )
    return f"{weekdays}{year}-{month}{'~' if rule.from_end else '-'}{day} {clock}"


def _days_of_week(days: list[int]) -> str:
    if len(days) > 2 and days[-1] - days[0] == len(days) - 1:
        return f"{WEEKDAYS[days[0]]}..{WEEKDAYS[days[-1]]}"
    return ",".join(WEEKDAYS[day] for day in days)


def _text_of(values: list[int], name: str, *, steps: bool = True) -> str:
    low, high = SPANS[name]
    if len(values) == high - low + 1 and name != "year":
        return "*"
    step = values[1] - values[0] if len(values) > 1 else 0
    even = step and all(later - earlier == step for earlier, later in zip(values, values[1:]))
    if even and step == 1 and len(values) > 2:
        return f"{values[0]:02}..{values[-1]:02}"
    if even and steps and len(values) > 2 and values[-1] + step > high:
        return f"{values[0]:02}/{step}"
    return ",".join(f"{value:02}" for value in values)
