# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""When something that grows is full, from what it was. Private to this collection."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

DAY = 86400.0
Points = list[tuple[float, float]]  # seconds since 1970, value


def read_points(lines: Iterable[str], identity: str, *, since: float, now: float) -> Points:
    """Return the values of the check ``identity`` in a history, one JSON document a line; a broken line is left out."""
    points = []
    for line in lines:
        try:
            told = json.loads(line)
            at, value = float(told["at"]), float(told["values"][identity])
        except (ValueError, KeyError, TypeError):
            continue
        if since <= at <= now:
            points.append((at, value))
    return points


def days_until(full: float, points: Sequence[tuple[float, float]], *, least_days: float = 1.0) -> float | None:
    """Return in how many days, from the last point on, a line through ``points`` reaches ``full``.

    The line is that of the least squares. None where the points span less than ``least_days``, or do not grow.
    """
    if len(points) < 3 or points[-1][0] - points[0][0] < least_days * DAY:
        return None
    middle = sum(at for at, _value in points) / len(points)
    mean = sum(value for _at, value in points) / len(points)
    spread = sum((at - middle) ** 2 for at, _value in points)
    slope = sum((at - middle) * (value - mean) for at, value in points) / spread
    if slope <= 0:
        return None
    last = points[-1][1]
    # From where it is, not from where the line is: a clean-up yesterday counts.
    return max(0.0, (full - last) / slope / DAY)
