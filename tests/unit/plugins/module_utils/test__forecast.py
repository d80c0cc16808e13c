# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a disk is full, from how it grew."""

from __future__ import annotations

import json

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._forecast import DAY, days_until, read_points


def growth(per_day: float, *, days: int = 7, start: float = 50.0) -> list[tuple[float, float]]:
    return [(hour * 3600.0, start + per_day * hour / 24) for hour in range(days * 24 + 1)]


@pytest.mark.parametrize(("per_day", "days"), [(1.0, 43.0), (5.0, 3.0), (0.5, 93.0)])
def test_what_grows_evenly_is_full_when_the_line_says(per_day: float, days: float) -> None:
    assert days_until(100.0, growth(per_day)) == pytest.approx(days, rel=0.01)


@pytest.mark.parametrize(
    "points",
    [
        pytest.param(growth(0.0), id="does not grow"),
        pytest.param(growth(-2.0), id="shrinks"),
        pytest.param(growth(9.0)[:20], id="less than a day"),
        pytest.param([(0.0, 1.0), (9 * DAY, 2.0)], id="two points"),
        pytest.param([], id="nothing"),
    ],
)
def test_of_what_does_not_grow_or_is_hardly_known_nothing_is_said(points: list[tuple[float, float]]) -> None:
    assert days_until(100.0, points) is None


def test_noise_does_not_move_it_far() -> None:
    noisy = [(at, value + (0.5 if index % 2 else -0.5)) for index, (at, value) in enumerate(growth(2.0, start=30.0))]
    assert days_until(100.0, noisy) == pytest.approx(28.0, rel=0.1)


def test_a_clean_up_counts_from_where_it_is_now() -> None:
    assert days_until(100.0, [*growth(1.0), (7 * DAY + 60, 20.0)]) > 50


def test_a_broken_line_of_the_history_and_other_things_are_left_out() -> None:
    lines = [
        json.dumps({"at": 10, "values": {"disk:/": 40.0}}),
        json.dumps({"at": 20, "values": {"disk:/srv": 1.0}}),
        json.dumps({"at": 30, "values": {"disk:/": None}}),
        '{"at": 40, "val',
        json.dumps({"at": 50, "values": {"disk:/": 41.0}}),
        json.dumps({"at": 999, "values": {"disk:/": 99.0}}),
    ]
    assert read_points(lines, "disk:/", since=0, now=100) == [(10.0, 40.0), (50.0, 41.0)]
