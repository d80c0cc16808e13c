# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""When something that grows is full: within a tenth, between which days, and not at all where that cannot be told."""

from __future__ import annotations

import random

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._growth import DAY, Growth, until_full
from ansible_collections.runbook.ops.plugins.module_utils._growth_steps import split

Points = list[tuple[float, float]]


def growing(seed: int, *, clean_up: bool) -> tuple[Points, float]:
    """Return values of one disk, noise as large as the growth of two days, and in how many days it is full."""
    chance = random.Random(seed)
    days, slope = chance.randint(60, 300), chance.uniform(0.05, 0.5)
    noise, true = slope * chance.uniform(0, 2), chance.uniform(15, min(150, days))
    at, height = chance.uniform(0.3, 0.7) * days, slope * chance.uniform(15, 60) if clean_up else 0
    level = 100 - slope * true
    points = []
    for index in range(days + 1):
        value = level + slope * (index - days) + (height if index < at else 0) + chance.gauss(0, noise)
        points.append(((index - days) * DAY, round(value, 2)))
    return points, true


@pytest.mark.parametrize("clean_up", [False, True], ids=["straight", "with a clean-up in the middle"])
def test_the_day_is_told_within_a_tenth_and_lies_in_the_interval(clean_up: bool) -> None:
    errors, inside = [], 0
    for seed in range(150):
        points, true = growing(seed, clean_up=clean_up)
        told = until_full(100, points, now=0)
        assert told.verdict == "days", (seed, told)
        assert told.days is not None and told.low is not None and told.high is not None
        errors.append(abs(told.days - true) / true)
        inside += told.low <= true <= told.high
    assert max(errors) < 0.10
    assert inside >= 0.9 * len(errors)


def line(
    *, days: int, slope: float, start: float = 50.0, noise: float = 0.0, every: float = 1.0, seed: int = 1
) -> Points:
    chance = random.Random(seed)
    count = round(days / every)
    return [
        ((index * every - days) * DAY, start + slope * index * every + chance.gauss(0, noise))
        for index in range(count + 1)
    ]


@pytest.mark.parametrize(
    ("points", "verdict", "reason"),
    [
        pytest.param([], "unknown", "0 values over 0 days are too few", id="nothing was measured"),
        pytest.param(
            line(days=5, slope=1, every=0.25), "unknown", "over 5 days are too few", id="a few days tell nothing"
        ),
        pytest.param(
            line(days=60, slope=0.2, noise=15), "unknown", "more than it grows", id="noise hides whether it grows"
        ),
        pytest.param(line(days=90, slope=0), "steady", "not within 730 days", id="it does not grow"),
        pytest.param(line(days=90, slope=-0.2), "steady", "not within 730 days", id="it shrinks"),
        pytest.param(
            line(days=20, slope=0.1), "steady", "not within 200 days", id="so far ahead twenty days do not tell"
        ),
        pytest.param(line(days=30, slope=2), "full", "it is full", id="it is full"),
        pytest.param(
            [(at - 40 * DAY, value) for at, value in line(days=60, slope=0.3)],
            "unknown",
            "the last value is 40 days old",
            id="nobody looked lately",
        ),
    ],
)
def test_it_says_where_it_cannot_tell(points: Points, verdict: str, reason: str) -> None:
    told = until_full(100, points, now=0)
    assert (told.verdict, reason in told.reason) == (verdict, True), told


def test_flat_values_that_flutter_are_never_forecast_to_be_full() -> None:
    verdicts = {until_full(100, line(days=90, slope=0, noise=3, seed=seed), now=0).verdict for seed in range(100)}
    assert verdicts <= {"steady", "unknown"}


def test_one_value_that_sticks_out_changes_nothing() -> None:
    points = line(days=90, slope=0.3, noise=0.2)
    spoiled = [(at, 5.0 if index == 40 else value) for index, (at, value) in enumerate(points)]
    one, other = until_full(100, points, now=0), until_full(100, spoiled, now=0)
    assert one.days is not None and other.days is not None
    assert abs(one.days - other.days) < 0.03 * one.days


def test_growth_that_became_faster_is_told_as_it_is_now() -> None:
    slow = [(day * DAY, 40 + 0.05 * (day + 120)) for day in range(-120, -40)]
    fast = [(day * DAY, 44 + 0.5 * (day + 40)) for day in range(-40, 1)]
    told = until_full(100, slow + fast, now=0)
    assert told.days is not None and abs(told.days - 72) < 8, told


def test_values_that_are_rounded_have_no_steps() -> None:
    points = [(float(day), round(40 + 0.03 * day, 1)) for day in range(90)]
    assert len(split(points)) == 1


def test_what_has_no_limit_has_no_day() -> None:
    assert until_full(float("inf"), line(days=60, slope=1), now=0) == Growth(
        "steady", "not within 600 days", per_day=pytest.approx(1.0)
    )
