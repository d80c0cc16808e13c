# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Figures against targets: met, missed, or too little to tell."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._kpis import Look, judge, wanted

UPTIME = {
    "name": "uptime",
    "target": 99.9,
    "unit": "percent",
    "better": "higher",
    "check": "http:*",
    "figure": "ok_percent",
}
P95 = {"name": "p95", "target": 500, "unit": "ms", "better": "lower", "check": "http:shop", "figure": "p95"}
ERRORS = {"name": "errors", "target": 0.1, "unit": "percent", "check": "error_rate:*"}
DOWN = {"name": "downtime", "target": 43, "unit": "minutes", "check": "http:shop", "figure": "down_minutes"}


def looks(good: int, bad: int = 0, *, value: float | None = None, unit: str | None = None) -> list[Look]:
    return [Look("ok", value, unit)] * good + [Look("critical", value, unit)] * bad


CASES = [
    pytest.param(UPTIME, looks(8640), "met", 100.0, 0.0, id="every look was good"),
    pytest.param(UPTIME, looks(8636, 4), "met", 99.9537, 46.3, id="half of the error budget is used"),
    pytest.param(UPTIME, looks(8620, 20), "missed", 99.7685, 231.5, id="more than all of it"),
    pytest.param(UPTIME, looks(31), "unknown", 100.0, 0.0, id="31 good looks do not prove 99.9 percent"),
    pytest.param(UPTIME, looks(30, 1), "missed", 96.7742, 3225.8, id="one bad look of 31 is enough to miss it"),
    pytest.param(UPTIME, [], "unknown", None, None, id="nobody looked"),
    pytest.param(UPTIME, [Look("unknown", None, None)] * 9, "unknown", None, None, id="looks that failed say nothing"),
    pytest.param(
        P95,
        looks(95, value=0.3, unit="s") + looks(5, value=2, unit="s"),
        "met",
        300.0,
        60.0,
        id="seconds for milliseconds",
    ),
    pytest.param(
        P95, looks(94, value=0.3, unit="s") + looks(6, value=2, unit="s"), "missed", 2000.0, 400.0, id="six slow ones"
    ),
    pytest.param(P95, looks(9, value=1, unit="USD"), "unknown", None, None, id="a unit that cannot be compared"),
    pytest.param(
        {**P95, "figure": "mean"},
        [*looks(1, value=0.3, unit="s"), *looks(1, value=100, unit="ms")],
        "met",
        200.0,
        40.0,
        id="each look in a unit of its own",
    ),
    pytest.param(
        P95,
        [*looks(9, value=50, unit="%"), *looks(1, value=1, unit="ms")],
        "unknown",
        None,
        None,
        id="one that is no time",
    ),
    pytest.param(
        {**P95, "unit": None},
        [*looks(9, value=50, unit="%"), *looks(1, value=1, unit="ms")],
        "unknown",
        None,
        None,
        id="several units and a target without one",
    ),
    pytest.param({**P95, "unit": None}, looks(9, value=5, unit="ms"), "met", 5.0, 1.0, id="a target without a unit"),
    pytest.param({**P95, "unit": "EUR"}, looks(9, value=1, unit="USD"), "unknown", None, None, id="another currency"),
    pytest.param(
        {**P95, "unit": "jobs", "target": 50, "better": "higher"},
        looks(9, value=60, unit="jobs"),
        "met",
        60.0,
        None,
        id="a number that should be high leaves no room for errors",
    ),
    pytest.param(P95, looks(9), "unknown", None, None, id="a check without a number"),
    pytest.param(ERRORS, looks(9, value=0.05, unit="%"), "met", 0.05, 50.0, id="the mean, unless told otherwise"),
    pytest.param({**ERRORS, "check": None}, [], "unknown", None, None, id="no check is named"),
    pytest.param(DOWN, looks(8630, 10), "missed", 50.0, 116.3, id="ten bad looks of a month stand for fifty minutes"),
    pytest.param(DOWN, looks(30), "unknown", 0.0, 0.0, id="thirty looks cannot see forty minutes"),
]


@pytest.mark.parametrize(("kpi", "seen", "verdict", "value", "used"), CASES)
def test_a_figure_is_judged(
    kpi: dict[str, Any], seen: list[Look], verdict: str, value: float | None, used: float | None
) -> None:
    told = judge(kpi, seen, days=30 if kpi is not DOWN else 8640 * 5 / 1440)
    assert (told["verdict"], told["value"], told["budget_used_percent"]) == (verdict, value, used), told["reason"]


def test_looks_are_counted_for_the_figures_that_name_them() -> None:
    assert wanted([UPTIME, P95, ERRORS, {**P95, "host": "two"}], "one", "http:shop") == [0, 1]
