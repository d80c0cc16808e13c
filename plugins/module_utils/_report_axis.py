# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The axes of a chart: round numbers, durations and days. Private to this collection."""

from __future__ import annotations

import math
from datetime import datetime, timezone

from ansible_collections.runbook.ops.plugins.module_utils._report_words import SYMBOLS, at_of, day, figure

TIMES = ("s", "seconds")
SHORT = (
    "%",
    "B",
    "bytes",
    "ms",
    *TIMES,
)  # units that stand at each tick; of others the number does, the unit is above the chart
# From a minute on, durations are counted in steps of clocks and calendars.
STEPS = (1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1200, 1800, 3600, 7200, 10800, 21600, 43200, 86400)
DAY = 86400.0
FEW_DAYS = 60 * DAY  # so long a period is told by its ends and its middle, a longer one by months


def scale(low: float, high: float, limit: float | None, unit: str | None = None) -> tuple[float, float, list[float]]:
    """Return the lower and the upper end of an axis and its ticks: round numbers, from 0 unless that would flatten the line."""
    if limit is not None and high < limit <= max(high * 1.7, high + 3 * (high - low)):
        high = limit
    elif limit is not None and low > limit >= low * 0.4 and limit > 0:
        low = limit
    if 0 <= low < 0.7 * high:
        low = 0.0
    step = _step(((high - low) or abs(high) or 1.0) / 3, unit)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    last = max(last, first + 1)
    return first * step, last * step, [index * step for index in range(first, last + 1)]


def _step(rough: float, unit: str | None) -> float:
    if unit in TIMES and rough >= 1:
        return float(next((step for step in STEPS if step >= rough * 0.999), math.ceil(rough / DAY) * DAY))
    power = 10.0 ** math.floor(math.log10(rough))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)


def label(value: float, unit: str | None) -> str:
    """Return what stands at a tick."""
    if not value:
        return "0"
    return figure(value, unit if SYMBOLS.get(unit or "", unit) in SHORT else None)


def days(since: float, until: float) -> list[tuple[float, str]]:
    """Return the days that stand below a chart: the ends and the middle, or of a longer time the first days of months."""
    if until - since < FEW_DAYS:
        return [(at, day(at)) for at in (since, (since + until) / 2, until)]
    start = at_of(since)
    months = [start.year * 12 + start.month - 1 + ahead for ahead in range(round((until - since) / DAY / 30.4) + 2)]
    firsts = [datetime(month // 12, month % 12 + 1, 1, tzinfo=timezone.utc).timestamp() for month in months]
    inside = [at for at in firsts if since - DAY <= at <= until + DAY]
    return [(at, day(at)) for at in inside[:: math.ceil(len(inside) / 5)]]
