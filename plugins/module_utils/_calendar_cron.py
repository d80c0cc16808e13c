# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""When something is due, as cron writes it. Private to this collection."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ansible_collections.runbook.ops.plugins.module_utils._calendar_rule import WEEKDAYS, CalendarError, Rule, number

MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
NICKNAMES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
PART = re.compile(r"(?:(\*)|(\w+)(?:-(\w+))?)(?:/(\d+))?\Z")


def parse_cron(text: str) -> list[Rule]:
    """Return the rules of a cron expression: two where both the day of the month and that of the week are restricted.

    :raises CalendarError: it is none.
    """
    fields = NICKNAMES.get(text.strip().lower(), text).split()
    if len(fields) != 5:
        raise CalendarError(
            f"{text!r} is no cron expression: it has five fields (minute, hour, day of the month, month, day of the week), such as '0 9 * * 1'"
        )
    try:
        minutes, hours = _cron_field(fields[0], 0, 59), _cron_field(fields[1], 0, 23)
        days, months = _cron_field(fields[2], 1, 31), _cron_field(fields[3], 1, 12, MONTHS)
        named = ("sun", *(name.lower() for name in WEEKDAYS))  # 0 and 7 are Sunday
        weekdays = frozenset((day - 1) % 7 for day in _cron_field(fields[4], 0, 7, named[:7]))
    except ValueError as exc:
        raise CalendarError(f"{text!r} is no cron expression: {exc}") from None
    some_months = None if len(months) == 12 else months
    some_days, some_weekdays = None if len(days) == 31 else days, None if len(weekdays) == 7 else weekdays
    both = Rule(minutes, hours, months=some_months, days=some_days, weekdays=some_weekdays)
    if fields[2].startswith("*") or fields[4].startswith(
        "*"
    ):  # as cron has it: */2 is a star, and then both must agree
        return [both]
    return [
        Rule(minutes, hours, months=some_months, days=some_days),
        Rule(minutes, hours, months=some_months, weekdays=some_weekdays),
    ]


def _cron_field(text: str, low: int, high: int, names: Sequence[str] = ()) -> frozenset[int]:
    found: set[int] = set()
    for part in text.lower().split(","):
        met = PART.match(part)
        if not met or (met[4] and not met[1] and not met[3]):
            raise ValueError(f"{part!r} is neither *, a number, a-b, nor one of them with /step")
        first = low if met[1] else number(met[2], low, high, names)
        last = high if met[1] else number(met[3], low, high, names) if met[3] else first
        step = int(met[4] or 1)
        if last < first or step < 1:
            raise ValueError(f"{part!r} runs backwards, or nowhere")
        found.update(range(first, last + 1, step))
    return frozenset(found)
