# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the level of values steps, as after a clean-up. Private to this collection."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median

Points = Sequence[tuple[float, float]]


def split(points: Points) -> list[list[tuple[float, float]]]:
    """Return ``points`` cut where their level steps down or up and stays there; one that sticks out alone is no step."""
    steps = [after[1] - before[1] for before, after in zip(points, points[1:])]
    usual = median(steps)
    spread = 1.4826 * median(abs(step - usual) for step in steps)
    least = median([abs(step) for step in steps if step] or [0.0])  # values may be rounded: most steps are none then
    most = 5 * max(spread, least)
    pieces, start = [], 0
    for index, step in enumerate(steps, 1):
        if abs(step - usual) <= most or index - start < 2 or len(points) - index < 2:
            continue
        before = median(value for _day, value in points[max(start, index - 3) : index])
        behind = [value for _day, value in points[index : index + 3]]
        after = median(behind) if len(behind) > 2 else min(behind, key=lambda value: abs(value - before))
        if abs(after - before - usual) > most / 2:
            pieces.append(list(points[start:index]))
            start = index
    return [part for piece in [*pieces, list(points[start:])] for part in _refine(piece)]


def _refine(piece: list[tuple[float, float]], depth: int = 3) -> list[list[tuple[float, float]]]:
    """Return ``piece`` cut where a step that is hardly larger than the noise explains the values much better than none."""
    index, gain, height = _best_step(piece)
    if not depth or gain < 30 or height < 2:
        return [piece]
    return [*_refine(piece[:index], depth - 1), *_refine(piece[index:], depth - 1)]


def _best_step(piece: Points) -> tuple[int, float, float]:
    """Return where a step explains most, by how much better (an F statistic), and its height in standard deviations."""
    best, count = (0, 0.0, 0.0), len(piece)
    whole = _sums(piece)
    left = (0, 0.0, 0.0, 0.0, 0.0, 0.0)
    plain = _rest(whole, (0, 0.0, 0.0, 0.0, 0.0, 0.0))[0]
    for index in range(1, count - 2):
        left = tuple(map(sum, zip(left, _sums([piece[index - 1]]))))  # type: ignore[assignment]
        if index < 3:
            continue
        right = tuple(all_ - one for all_, one in zip(whole, left))
        rest, slope = _rest(left, right)
        variance = rest / max(1, count - 3)
        if variance <= 0:
            continue
        gain = (plain - rest) / variance
        if gain > best[1]:
            height = right[2] / right[0] - left[2] / left[0] - slope * (right[1] / right[0] - left[1] / left[0])
            best = (index, gain, abs(height) / math.sqrt(variance))
    return best


def _sums(points: Points) -> tuple[float, ...]:
    """Return the number of ``points`` and the sums of x, y, xx, xy, yy."""
    terms = [(1, day, value, day * day, day * value, value * value) for day, value in points]
    return tuple(map(math.fsum, zip(*terms)))


def _rest(*groups: Sequence[float]) -> tuple[float, float]:
    """Return what one slope and a level for each of ``groups`` leave unexplained, and that slope."""
    spread = product = square = 0.0
    for count, x, y, xx, xy, yy in groups:
        if count:
            spread += xx - x * x / count
            product += xy - x * y / count
            square += yy - y * y / count
    return (square - product * product / spread, product / spread) if spread > 0 else (square, 0.0)
