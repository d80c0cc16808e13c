# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Costs are of whole months, whatever day it is, and held against a budget."""

from __future__ import annotations

from datetime import date

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._aws_cost import (
    CostError,
    judge_cost,
    months,
    question,
    read_answers,
    refusal,
)


@pytest.mark.parametrize(
    ("today", "first", "last", "this"),
    [
        pytest.param("2026-03-31", "2026-01-01", "2026-02-01", "2026-03-01", id="the end of a long month"),
        pytest.param("2026-01-01", "2025-11-01", "2025-12-01", "2026-01-01", id="the first day of a year"),
        pytest.param("2024-02-29", "2023-12-01", "2024-01-01", "2024-02-01", id="a leap day"),
    ],
)
def test_the_months_are_those_of_the_calendar(today, first, last, this):
    assert [day.isoformat() for day in months(date.fromisoformat(today))] == [first, last, this]
    period = question(date.fromisoformat(today))["TimePeriod"]
    assert period == {"Start": first, "End": today}
    assert period["Start"] < period["End"]


def answer(**of):
    return {
        "ResultsByTime": [
            {
                "TimePeriod": {"Start": start, "End": "x"},
                "Estimated": start == "2026-11-01",
                "Groups": [
                    {"Keys": [name], "Metrics": {"UnblendedCost": {"Amount": str(cost), "Unit": "USD"}}}
                    for name, cost in services.items()
                ],
            }
            for start, services in of["months"].items()
        ]
    }


MONTHS = {
    "2026-09-01": {"EC2": 100, "S3": 10},
    "2026-10-01": {"EC2": 150, "S3": 10, "Tax": 0.001},
    "2026-11-01": {"EC2": 90},
}


def judged(today="2026-11-16", budget=None, told=None, near=None):
    found, unit = read_answers(told or [answer(months=MONTHS)])
    measured = {
        "months": [[month.first.isoformat(), month.services, month.estimated] for month in found],
        "today": today,
        "unit": unit,
    }
    checks = judge_cost(measured, "AWS", "Costs", budget, near or {"warning": 100.0, "critical": None})
    return {one["id"].partition("AWS:")[2]: one for one in checks}


def test_last_month_this_one_and_how_it_goes_on():
    checks = judged()
    assert {name: one["value"] for name, one in checks.items()} == {
        "last-month": 160.0,
        "month-to-date": 90.0,
        "projected": 180.0,
        "service:EC2": 150.0,
        "service:S3": 10.0,
    }
    assert {one["unit"] for one in checks.values()} == {"USD"}
    assert checks["last-month"]["detail"] == "2026-10: 160.00 USD, +45.5 % against 110.00 the month before"
    assert checks["month-to-date"]["detail"] == "15 of 30 days: 90.00 USD"


@pytest.mark.parametrize(
    ("budget", "near", "statuses"),
    [
        pytest.param(None, None, ["ok", "ok", "ok"], id="without a budget"),
        pytest.param(500, None, ["ok", "ok", "ok"], id="within it"),
        pytest.param(170, None, ["ok", "ok", "warning"], id="it will not do"),
        pytest.param(170, {"warning": 80.0, "critical": 105.0}, ["ok", "ok", "critical"], id="by far"),
        pytest.param(90, None, ["warning", "critical", "warning"], id="it is used up"),
    ],
)
def test_costs_are_held_against_the_budget(budget, near, statuses):
    checks = judged(budget=budget, near=near)
    assert [checks[name]["status"] for name in ("last-month", "month-to-date", "projected")] == statuses


def test_on_the_first_day_nothing_of_the_month_is_known_and_nothing_is_divided():
    checks = judged(today="2026-11-01")
    assert checks["month-to-date"]["detail"] == "no day of it is over yet"
    assert "projected" not in checks


@pytest.mark.parametrize(("today", "status"), [("2026-11-02", "ok"), ("2026-11-05", "ok"), ("2026-11-06", "warning")])
def test_a_month_is_not_judged_by_the_pace_of_its_first_days(today, status):
    check = judged(budget=200, today=today)["projected"]
    assert (check["status"], "say little" in check["detail"]) == (status, status == "ok")


def test_several_pages_are_one_answer():
    more = {"2026-10-01": {"Lambda": 40}}
    checks = judged(told=[answer(months=MONTHS), answer(months=more)])
    assert checks["last-month"]["value"] == 200


@pytest.mark.parametrize("told", [[{}], [{"ResultsByTime": [{"TimePeriod": {}}]}], [{"ResultsByTime": 7}]])
def test_another_answer_is_no_cost(told):
    with pytest.raises(CostError, match="not what Cost Explorer says"):
        read_answers(told)


def test_two_currencies_are_not_added_up():
    told = answer(months=MONTHS)
    told["ResultsByTime"][0]["Groups"][0]["Metrics"]["UnblendedCost"]["Unit"] = "CNY"
    with pytest.raises(CostError, match="CNY, USD"):
        read_answers([told])


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (
            {"__type": "com.amazon#AccessDeniedException", "message": "User: arn"},
            "AccessDeniedException: this access key may not",
        ),
        ({"__type": "OtherException", "message": "why"}, "HTTP 400 OtherException: why"),
        ({}, "HTTP 400"),
    ],
)
def test_a_refusal_says_why(body, words):
    assert words in refusal(400, body)[0]
