# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Values over time are thinned, and the extremes are kept."""

from __future__ import annotations

import random

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._series import Series, percentile, thin


@pytest.mark.parametrize("count", [2, 90, 366, 100_000])
@pytest.mark.parametrize("most", [4, 36, 90])
def test_extremes_and_ends_survive_within_the_limit(count: int, most: int) -> None:
    chance = random.Random(count)
    points = [(float(index * 300), chance.gauss(50, 10)) for index in range(count)]
    thinned = thin(points, most)
    assert len(thinned) <= max(most, 4)
    assert {points[0], points[-1], min(points, key=lambda p: p[1]), max(points, key=lambda p: p[1])} <= set(thinned)
    assert thinned == sorted(thinned) and set(thinned) <= set(points)


def test_a_series_takes_values_in_any_order_and_little_memory() -> None:
    series = Series(0, 1000, 20)
    for at in (900, 100, 500, *range(0, 1000, 2)):
        series.add(float(at), float(at))
    assert (series.first, series.last, series.count) == ((0.0, 0.0), (998.0, 998.0), 503)
    assert len(series.points()) <= 22


@pytest.mark.parametrize(("share", "value"), [(0.5, 50), (0.95, 95), (0.99, 99), (1.0, 100), (0.001, 1)])
def test_a_percentile_is_one_of_the_values(share: float, value: int) -> None:
    assert percentile(range(1, 101), share) == value
