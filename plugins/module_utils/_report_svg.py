# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Small pictures of a report: a line over time, a spark, a row of days, a bar. Each says in words what it shows. Private to this collection."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils import _report_axis as axis
from ansible_collections.runbook.ops.plugins.module_utils._report_words import SLOTS, clean, day, figure

WIDTH, HEIGHT = 360, 148
LEFT, RIGHT, TOP, BOTTOM = 58, 350, 12, 122
FORESEEN = 0.16  # share of the width that a forecast gets
CELL = 12
# One shape for each state of a day, drawn in a square of 10: they can be told apart without colour.
MARKS = {
    "ran": '<rect x="1" y="1" width="8" height="8" rx="1.5"/>',
    "warned": '<path d="M5 .6 9.6 9H.4z"/>',
    "late": '<rect x="1" y="1" width="8" height="8" rx="1.5" class="o"/><path d="M1 9 9 1v6.5A1.5 1.5 0 0 1 7.5 9z"/>',
    "failed": '<path d="m1 2 1-1 3 3 3-3 1 1-3 3 3 3-1 1-3-3-3 3-1-1 3-3z"/>',
    "missed": '<circle cx="5" cy="5" r="3.6" class="o"/>',
    "pending": '<path d="M2 5h6" class="o"/>',
    "none": '<circle cx="5" cy="5" r=".9"/>',
}


def text(value: Any) -> str:
    """Return ``value`` for a page: one line, nothing in it is markup."""
    return escape(clean(value), quote=True)


def shown(value: Any, unit: str | None) -> str:
    """Return a value with its unit for a page: hosts say what the unit is, too."""
    return text(figure(value, unit))


def definitions() -> str:
    """Return the shapes that rows of days refer to. They stand in the page once."""
    symbols = "".join(f'<symbol id="m-{name}" viewBox="0 0 10 10">{shape}</symbol>' for name, shape in MARKS.items())
    return f'<svg class="defs" width="0" height="0" aria-hidden="true" focusable="false">{symbols}</svg>'


def describe(one: Mapping[str, Any]) -> str:
    """Return what a chart shows, in words."""
    points, unit = one["points"], one["unit"]
    (first_at, first), (last_at, last) = points[0], points[-1]
    said = f"{figure(first, unit)} on {day(first_at)}, {figure(last, unit)} on {day(last_at)}; "
    said += f"lowest {figure(one['lowest'], unit)}, highest {figure(one['highest'], unit)}"
    limit = _limit(one)
    return said + (f"; limit {figure(limit, unit)}" if limit is not None else "") + "."


def chart(one: Mapping[str, Any], number: int, *, since: float, until: float, growth: Mapping[str, Any] | None) -> str:
    """Return the line of a value over time, with its limit, and with a forecast where there is one."""
    foreseen = growth if growth and growth["verdict"] == "days" else None
    end = until + (until - since) * FORESEEN / (1 - FORESEEN) if foreseen else until
    limit = _limit(one)
    low, high, ticks = axis.scale(one["lowest"], one["highest"], limit, one["unit"])
    path = [
        (_between(at, since, end, LEFT, RIGHT), _between(value, low, high, BOTTOM, TOP)) for at, value in one["points"]
    ]
    name = f"c{number}"
    parts = [
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-labelledby="{name}t {name}d">',
        f'<title id="{name}t">{text(one["name"])}</title><desc id="{name}d">{text(describe(one))}</desc>',
        *(_tick(value, _between(value, low, high, BOTTOM, TOP), one["unit"]) for value in ticks),
        *_dates(since, until, end),
    ]
    if limit is not None and low <= limit <= high:
        parts.append(f'<path class="m" d="M{LEFT} {_y(limit, low, high)}H{RIGHT}"/>')
        parts.append(f'<text class="ml" x="{RIGHT}" y="{_y(limit, low, high) - 3}" text-anchor="end">limit</text>')
    line = "L".join(f"{x} {y}" for x, y in path)
    if not low:  # an area that does not begin at 0 would exaggerate
        parts.append(f'<path class="a" d="M{path[0][0]} {BOTTOM}L{line}L{path[-1][0]} {BOTTOM}z"/>')
    parts.append(f'<path class="l" d="M{line}"/>')
    if foreseen:
        ahead = one["points"][-1][1] + (foreseen["per_month"] or 0) / 30 * (end - one["points"][-1][0]) / 86400
        x = _between(until, since, end, LEFT, RIGHT)
        parts.append(f'<path class="n" d="M{x} {TOP}V{BOTTOM}"/>')
        parts.append(f'<path class="f" d="M{path[-1][0]} {path[-1][1]}L{RIGHT} {max(TOP, _y(ahead, low, high))}"/>')
    parts.append(f'<circle class="d" cx="{path[-1][0]}" cy="{path[-1][1]}" r="3"/></svg>')
    return "".join(parts)


def spark(one: Mapping[str, Any]) -> str:
    """Return a line of the size of a word."""
    points = one["points"]
    low, high = one["lowest"], one["highest"]
    start, end = points[0][0], points[-1][0]
    line = "L".join(f"{_between(at, start, end, 1, 95)} {_between(value, low, high, 19, 3)}" for at, value in points)
    return f'<svg class="spark" viewBox="0 0 96 22" role="img" aria-label="{text(describe(one))}"><path class="l" d="M{line}"/></svg>'


def strip(name: str, slots: Sequence[str]) -> str:
    """Return one mark for each day or week of a calendar."""
    told = ", ".join(f"{slots.count(state)} {words}" for state, words in SLOTS.items() if state in slots)
    marks = "".join(
        f'<use href="#m-{state}" class="{state}" x="{index * CELL + 1}" y="1" width="10" height="10"/>'
        for index, state in enumerate(slots)
    )
    return (
        f'<svg class="strip" viewBox="0 0 {len(slots) * CELL} {CELL}" style="max-width:{len(slots) * 0.95:.2f}rem" role="img" '
        f'aria-label="{text(name)}: {told}">{marks}</svg>'
    )


def gauge(percent: float, words: str) -> str:
    """Return how much of something is used; what goes beyond all of it ends in an arrow."""
    width = round(max(0.0, min(100.0, percent)) * 1.2, 1)
    over = '<path class="over" d="M121 1l6 5-6 5z"/>' if percent > 100 else ""
    return (
        f'<svg class="bar" viewBox="0 0 128 12" role="img" aria-label="{text(words)}"><rect class="t" x=".5" y="2.5" width="119" '
        f'height="7" rx="2"/><rect class="u" y="2" width="{width}" height="8" rx="2"/>{over}</svg>'
    )


def _limit(one: Mapping[str, Any]) -> float | None:
    limit = one["limit"]
    return (
        float(limit)
        if isinstance(limit, (int, float)) and not isinstance(limit, bool) and math.isfinite(limit)
        else None
    )


def _between(value: float, low: float, high: float, start: float, end: float) -> int:
    share = (value - low) / (high - low) if high != low else 0.5
    return round(start + share * (end - start))


def _y(value: float, low: float, high: float) -> int:
    return _between(value, low, high, BOTTOM, TOP)


def _tick(value: float, y: int, unit: str | None) -> str:
    words = text(axis.label(value, unit))
    return f'<path class="g" d="M{LEFT} {y}H{RIGHT}"/><text x="{LEFT - 6}" y="{y + 3}" text-anchor="end">{words}</text>'


def _dates(since: float, until: float, end: float) -> list[str]:
    said = []
    for at, words in axis.days(since, until):
        x = _between(at, since, end, LEFT, RIGHT)
        anchor = "start" if x < LEFT + 20 else "end" if x > RIGHT - 20 else "middle"
        said.append(f'<text x="{x}" y="{BOTTOM + 16}" text-anchor="{anchor}">{words}</text>')
    return said
