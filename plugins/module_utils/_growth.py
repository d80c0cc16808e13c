# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""When something that grows will be full, between which days, and whether that can be told at all. Private to this collection.

A clean-up is a step, not growth: the values are cut at steps, all pieces get one slope and each a level of its own.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median
from typing import NamedTuple

from ansible_collections.runbook.ops.plugins.module_utils._growth_steps import split

DAY = 86400.0
LEAST_POINTS = 8
LEAST_DAYS = 7.0
HORIZON_DAYS = 730.0  # beyond that nobody plans a disk
FORESIGHT = 10.0  # so many times as far as it looks back, it looks ahead
Points = Sequence[tuple[float, float]]  # days or seconds, value


class Growth(NamedTuple):
    """What the values say. ``days`` from now until full, likely between ``low`` and ``high`` (None: no end of it)."""

    verdict: str  # full, days, steady (not within what can be foreseen), unknown (cannot tell)
    reason: str
    days: float | None = None
    low: float | None = None
    high: float | None = None
    per_day: float | None = None


class Line(NamedTuple):
    """The slope that all pieces share, its standard error, and how far values lie from it."""

    slope: float
    error: float
    noise: float


def until_full(full: float, points: Points, *, now: float) -> Growth:
    """Return when ``full`` is reached, as far as ``points`` (seconds since 1970, value) tell."""
    days = [((at - now) / DAY, value) for at, value in sorted(points)]
    span = days[-1][0] - days[0][0] if days else 0.0
    if len(days) < LEAST_POINTS or span < LEAST_DAYS:
        return Growth("unknown", f"cannot tell: {_count(len(days))} over {span:.0f} days are too few")
    if -days[-1][0] > max(LEAST_DAYS, span / 4):
        return Growth("unknown", f"cannot tell: the last value is {-days[-1][0]:.0f} days old")
    pieces = split(days)
    line = fit(pieces)
    line = _lately(days, line)
    level, doubt = _level(pieces[-1], line)
    return _verdict(full, level, doubt, line, span)


def _verdict(full: float, level: float, doubt: float, line: Line, span: float) -> Growth:
    room, sure = full - level, 2 * line.error
    if room <= 0:
        return Growth("full", "it is full", 0.0, 0.0, 0.0, line.slope)
    far = min(HORIZON_DAYS, FORESIGHT * span)
    if line.slope + sure <= room / far:
        return Growth("steady", f"not within {far:.0f} days", per_day=line.slope)
    if line.slope < 2 * sure:
        return Growth("unknown", "cannot tell: it goes up and down more than it grows", per_day=line.slope)
    days = room / line.slope
    if days > far:
        return Growth("steady", f"not within {far:.0f} days", per_day=line.slope)
    low = max(0.0, (room - doubt) / (line.slope + sure))
    high = (room + doubt) / (line.slope - sure)
    return Growth("days", f"in {days:.0f} days, {low:.0f} to {high:.0f}", days, low, high, line.slope)


def fit(pieces: Sequence[Points]) -> Line:
    """Return the one slope of all ``pieces``, without the few values that stick out."""
    line = _least_squares(pieces)
    for _time in range(2):
        kept = []
        for piece in pieces:
            rests = [value - line.slope * day for day, value in piece]
            middle = median(rests)
            limit = 4 * 1.4826 * median(abs(rest - middle) for rest in rests) or math.inf
            kept.append([point for point, rest in zip(piece, rests) if abs(rest - middle) <= limit])
        line = _least_squares(kept)
    return line


def _least_squares(pieces: Sequence[Points]) -> Line:
    spread = product = 0.0
    centred = []
    for piece in pieces:
        if len(piece) < 2:
            continue
        middle = math.fsum(day for day, _value in piece) / len(piece)
        mean = math.fsum(value for _day, value in piece) / len(piece)
        centred.append([(day - middle, value - mean) for day, value in piece])
        spread += math.fsum(day * day for day, _value in centred[-1])
        product += math.fsum(day * value for day, value in centred[-1])
    if not spread:
        return Line(0.0, math.inf, math.inf)
    slope = product / spread
    rests = [[value - slope * day for day, value in piece] for piece in centred]
    free = sum(map(len, rests)) - len(rests) - 1
    noise = math.sqrt(math.fsum(rest * rest for piece in rests for rest in piece) / free) if free > 0 else math.inf
    return Line(slope, noise / math.sqrt(spread) * _memory(rests), noise)


def _memory(rests: Sequence[Sequence[float]]) -> float:
    """Return by how much the error is larger because what is high today is likely high tomorrow."""
    total = math.fsum(rest * rest for piece in rests for rest in piece)
    beside = math.fsum(one * other for piece in rests for one, other in zip(piece, piece[1:]))
    alike = min(0.9, max(0.0, beside / total)) if total else 0.0
    return math.sqrt((1 + alike) / (1 - alike))


def _lately(days: Points, line: Line) -> Line:
    """Return the slope of the last half where it is clearly another one: growth that changed goes on as it is now."""
    half = days[len(days) // 2 :]
    if len(half) < LEAST_POINTS or half[-1][0] - half[0][0] < LEAST_DAYS:
        return line
    late = fit(split(half))
    differs = abs(late.slope - line.slope)
    clearly = differs > 4 * math.hypot(late.error, line.error) and differs > 0.3 * abs(line.slope)
    return late if clearly else line


def _level(piece: Points, line: Line) -> tuple[float, float]:
    """Return where the last piece stands now, and the doubt about it."""
    last = piece[-9:]
    doubt = 2 * 1.25 * line.noise / math.sqrt(len(last)) if math.isfinite(line.noise) else 0.0
    return median(value - line.slope * day for day, value in last), doubt


def _count(values: int) -> str:
    return "1 value" if values == 1 else f"{values} values"
