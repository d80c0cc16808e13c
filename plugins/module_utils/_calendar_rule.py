# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What both cron and systemd say of a time: sets of minutes, hours, days. Private to this collection."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from zoneinfo import ZoneInfo

WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
YEARS = (1970, 2199)
SPANS = {"year": YEARS, "month": (1, 12), "day": (1, 31), "hour": (0, 23), "minute": (0, 59), "second": (0, 59)}


class CalendarError(ValueError):
    """A time that is none; the message names it and says what to write."""


@dataclass(frozen=True)
class Rule:
    """The times whose every part is in the set of its name; a set that is None admits all."""

    minutes: frozenset[int]
    hours: frozenset[int]
    seconds: frozenset[int] = frozenset({0})
    weekdays: frozenset[int] | None = None  # Monday is 0
    months: frozenset[int] | None = None
    years: frozenset[int] | None = None
    days: frozenset[int] | None = None
    from_end: bool = False  # days are counted from the month's end, which is 1

    @property
    def is_hourly(self) -> bool:
        """Whether no hour, and no day, differs from another."""
        dates = (self.weekdays, self.months, self.years, self.days)
        return len(self.hours) == 24 and all(one is None for one in dates)


def check_zone(zone: str) -> ZoneInfo:
    """Return the time zone of this name.

    :raises CalendarError: nobody here knows it.
    """
    try:
        return ZoneInfo(zone)
    except (KeyError, ValueError, OSError):
        raise CalendarError(f"the time zone {zone!r} is not known here: write one such as Europe/Berlin") from None


def number(text: str, low: int, high: int, names: Sequence[str] = ()) -> int:
    value = names.index(text) + low if text in names else int(text) if text.isdecimal() else -1
    if not low <= value <= high:
        raise ValueError(f"{text!r} is not within {low} and {high}")
    return value
