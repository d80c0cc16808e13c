# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Values over time in as much memory as a picture needs: extremes are never lost. Private to this collection."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

Point = tuple[float, float]  # seconds since 1970, value


class Series:
    """The values of one thing, kept as the lowest and the highest of each slice of time, and the first and the last of all."""

    def __init__(self, since: float, until: float, most: int) -> None:
        """Prepare for values of ``since`` to ``until``.

        :param most: how many points may come out of it, 4 at least
        """
        self._since = since
        self._width = max(1.0, (until - since) / max(1, (most - 2) // 2))
        self._slices: dict[int, tuple[Point, Point]] = {}
        self.first: Point | None = None
        self.last: Point | None = None
        self.count = 0

    def add(self, at: float, value: float) -> None:
        """Take in one value, in any order."""
        point = (at, value)
        self.count += 1
        if self.first is None or at < self.first[0]:
            self.first = point
        if self.last is None or at >= self.last[0]:
            self.last = point
        index = int((at - self._since) / self._width)
        low, high = self._slices.get(index, (point, point))
        self._slices[index] = (point if value < low[1] else low, point if value > high[1] else high)

    def points(self) -> list[Point]:
        """Return what is kept, in the order of time."""
        kept = {point for pair in self._slices.values() for point in pair}
        kept.update(point for point in (self.first, self.last) if point)
        return sorted(kept)


def thin(points: Sequence[Point], most: int) -> list[Point]:
    """Return at most ``most`` of ``points``, the highest and the lowest, the first and the last among them."""
    if len(points) <= most:
        return list(points)
    series = Series(points[0][0], points[-1][0], most - 2)
    for at, value in points:
        series.add(at, value)
    return series.points()


def percentile(values: Iterable[float], share: float) -> float:
    """Return the value that ``share`` (0 to 1) of ``values`` do not exceed: one of them, the nearest by rank.

    :raises ValueError: there are none.
    """
    ordered = sorted(values)
    if not ordered:
        raise ValueError("of no values there is no percentile")
    rank = -(-share * len(ordered) // 1)  # rounded up
    return ordered[min(len(ordered), max(1, int(rank))) - 1]
