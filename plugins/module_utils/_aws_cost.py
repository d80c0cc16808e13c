# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What AWS costs: months to ask Cost Explorer for, its answer read, held against a budget. Private to this collection."""

from __future__ import annotations

import calendar
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any, NamedTuple

from ansible_collections.runbook.ops.plugins.module_utils._checks import judge_high, make_check

TARGET = "AWSInsightsIndexService.GetCostAndUsage"
METRIC = "UnblendedCost"
MOST_SERVICES = 15
EARLY_DAYS = 5  # what is due once a month is paid on its first days, and a pace of those is none
SMALL = 0.005  # less than half a cent is nothing
REFUSALS = {
    "UnrecognizedClientException": ("the access key is not known there", "correct access_key"),
    "InvalidClientTokenId": ("the access key is not known there", "correct access_key"),
    "InvalidSignatureException": (
        "the secret key is wrong, or this host's clock",
        "correct secret_key; see chronyc tracking",
    ),
    "SignatureDoesNotMatch": ("the secret key is wrong", "correct secret_key"),
    "AccessDeniedException": ("this access key may not", "allow it ce:GetCostAndUsage, and turn Cost Explorer on"),
    "AccessDenied": ("this access key may not", "allow it ce:GetCostAndUsage, and turn Cost Explorer on"),
    "ExpiredTokenException": ("the access key has expired", "renew it"),
    "DataUnavailableException": ("it has no figures yet", "Cost Explorer needs a day after it was turned on"),
    "LimitExceededException": ("it asks for fewer requests", "ask again later"),
    "ThrottlingException": ("it asks for fewer requests", "ask again later"),
}


class CostError(Exception):
    """An answer cannot be used; the message is one line."""


class Month(NamedTuple):
    """What one month cost, by service."""

    first: date
    services: dict[str, float]
    estimated: bool

    @property
    def total(self) -> float:
        """What all of it cost."""
        return sum(self.services.values())


def months(today: date) -> tuple[date, date, date]:
    """Return the first days of the month before the last one, of the last one, and of this one."""
    this = today.replace(day=1)
    last = (this - timedelta(days=1)).replace(day=1)
    return (last - timedelta(days=1)).replace(day=1), last, this


def question(today: date, token: str | None = None) -> dict[str, Any]:
    """Return what is asked: three months by service, the last of them as far as it has come. One request is one page."""
    first = months(today)[0]
    asked = {
        "TimePeriod": {"Start": first.isoformat(), "End": today.isoformat()},  # its end is left out
        "Granularity": "MONTHLY",
        "Metrics": [METRIC],
        "GroupBy": [{"Type": "DIMENSION", "Key": "SERVICE"}],
    }
    return {**asked, "NextPageToken": token} if token else asked


def read_answers(answers: Sequence[Mapping[str, Any]]) -> tuple[list[Month], str]:
    """Return the months in order, and the currency.

    :raises CostError: it is no such answer, or in several currencies.
    """
    found: dict[str, Month] = {}
    units = set()
    try:
        for answer in answers:
            for one in answer["ResultsByTime"]:
                start = one["TimePeriod"]["Start"]
                before = found.get(start) or Month(date.fromisoformat(start[:10]), {}, bool(one.get("Estimated")))
                for group in one["Groups"]:
                    amount = group["Metrics"][METRIC]
                    units.add(str(amount["Unit"]))
                    name = str(group["Keys"][0])
                    before.services[name] = before.services.get(name, 0.0) + float(amount["Amount"])
                found[start] = before
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as exc:
        raise CostError(f"the answer is not what Cost Explorer says ({type(exc).__name__}: {exc})") from None
    if len(units) > 1:
        raise CostError(f"it is in several currencies: {', '.join(sorted(units))}")
    return [found[start] for start in sorted(found)], next(iter(units), "USD")


def refusal(status: int, body: Mapping[str, Any]) -> tuple[str, str]:
    """Return what an answer that is not 200 says, and what to do."""
    code = str(body.get("__type") or body.get("code") or "").rpartition("#")[2].partition(":")[0]
    said, remedy = REFUSALS.get(
        code, (str(body.get("message") or body.get("Message") or "")[:150], "see the provider's status page")
    )
    what = f"HTTP {status}{f' {code}' if code else ''}"
    return f"{what}: {said}" if said else what, remedy


def judge_cost(
    measured: Mapping[str, Any], name: str, section: str, budget: float | None, near: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Return the checks: the last month, this one so far, this one as it will end, and the services of the last one.

    :param measured: ``months`` as lists of first day, services and whether estimated; ``today`` and ``unit``
    :param near: limits in percent of the budget for what the month will likely end with
    """
    today, unit = date.fromisoformat(measured["today"]), measured["unit"]
    known = {
        first: Month(date.fromisoformat(first), services, estimated)
        for first, services, estimated in measured["months"]
    }
    earlier, last, this = (known.get(day.isoformat()) or Month(day, {}, False) for day in months(today))
    told = [
        _last(last, earlier, unit, budget),
        *_running(this, today, unit, budget, near),
        *_services(last, earlier, unit),
    ]
    return [
        make_check(
            f"cost:{name}:{one.pop('thing')}",
            name=f"{name}, {one.pop('label')}",
            section=section,
            unit=unit,
            remedy="see which service grew, and whether the budget still fits",
            **{"status": "ok", **one, "value": round(one["value"], 2)},
        )
        for one in told
    ]


def _last(last: Month, earlier: Month, unit: str, budget: float | None) -> dict[str, Any]:
    status, limit = judge_high(last.total, budget, None)
    note = "; still an estimate" if last.estimated else ""
    detail = f"{last.first:%Y-%m}: {_change(last.total, earlier.total, unit)}{note}"
    told = {"thing": "last-month", "label": "last month", "value": last.total}
    return {**told, "detail": detail, "status": status, "limit": limit}


def _running(
    this: Month, today: date, unit: str, budget: float | None, near: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Return what the month has cost so far, and what it will have cost at this pace."""
    told: dict[str, Any] = {"thing": "month-to-date", "label": "this month so far", "value": this.total}
    days, length = (today - this.first).days, calendar.monthrange(today.year, today.month)[1]
    if not days:
        return [{**told, "detail": "no day of it is over yet"}]
    status, limit = judge_high(this.total, None, budget)
    told.update(detail=f"{days} of {length} days: {this.total:.2f} {unit}", status=status, limit=limit)
    likely = this.total / days * length
    share = 100 * likely / budget if budget else 0.0
    status, _percent = judge_high(share, near["warning"], near["critical"])
    held = f", {share:.0f} % of the budget" if budget else ""
    if days < EARLY_DAYS:
        status, held = "ok", f"{held}; {days} of {length} days say little of the others"
    detail = f"{likely:.2f} {unit} at this pace{held}"
    goes_on = {"thing": "projected", "label": "this month as it goes on", "value": likely, "detail": detail}
    return [told, {**goes_on, "status": status, "limit": budget}]


def _services(last: Month, earlier: Month, unit: str) -> list[dict[str, Any]]:
    dear = [(cost, name) for name, cost in last.services.items() if abs(cost) >= SMALL]
    return [
        {
            "thing": f"service:{name}",
            "label": name,
            "value": cost,
            "detail": _change(cost, earlier.services.get(name, 0.0), unit),
        }
        for cost, name in sorted(dear, key=lambda one: (-one[0], one[1]))[:MOST_SERVICES]
    ]


def _change(value: float, before: float, unit: str) -> str:
    if abs(before) < SMALL:
        return f"{value:.2f} {unit}, nothing the month before"
    return f"{value:.2f} {unit}, {100 * (value - before) / abs(before):+.1f} % against {before:.2f} the month before"
