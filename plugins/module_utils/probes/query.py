# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A question of the system's own to its PostgreSQL database: reads only, within its time. Private to this collection."""

from __future__ import annotations

import json
import time
from datetime import datetime, timezone
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils import _query_checks
from ansible_collections.runbook.ops.plugins.module_utils._named_query import (
    Named,
    QueryError,
    name_parameters,
    script,
    typed,
)
from ansible_collections.runbook.ops.plugins.module_utils._probe_options import Option, ProbeError, limits
from ansible_collections.runbook.ops.plugins.module_utils._psql_session import PLACE, ask

SECTION = "Databases"
OPTIONS = {
    "statement": Option(
        "str",
        "one statement of SQL that returns rows; :since and :until stand for the period, its end excluded, and other names for parameters",
        required=True,
    ),
    **PLACE,
    "parameters": Option("dict", "values of further parameters, by name: text, numbers, true, false, null", {}),
    "period_seconds": Option("float", "length of the period, which ends with the last full day, UTC", 86400.0),
    "full": Option(
        "str", "instead: the last full calendar month or the like, UTC", choices=("week", "month", "quarter")
    ),
    "statement_seconds": Option(
        "float", "after how long the server ends it; without it, 80 % of timeout_seconds: getting there takes time, too"
    ),
    "compare": Option(
        "bool", "ask for the period before too: a row that is missing now is a warning, a number is compared", False
    ),
    "figure": Option("str", "column that is the value; of several rows, each by what its first column says"),
    "at_most": Option("limits", "where the value is too high", limits(None)),
    "at_least": Option("limits", "where it is too low", limits(None)),
    "changed_percent": Option("limits", "where it differs too much from the period before", limits(None)),
    "unit": Option("str", "unit of the value"),
    "rows": Option("int", "how many rows are shown", 5),
}
DAY = 86400
PERIOD = ("since", "until")


def period(now: float, seconds: float) -> tuple[float, float]:
    """Return begin and end of the period that ends with the last full day, UTC."""
    until = now // DAY * DAY
    return until - seconds, until


def periods(now: float, options: dict[str, Any]) -> tuple[float, float, float]:
    """Return when the period before begins, when the period begins, and when it ends."""
    if not options["full"]:
        since, until = period(now, options["period_seconds"])
        return since - options["period_seconds"], since, until
    from ansible_collections.runbook.ops.plugins.module_utils import _report_period  # noqa: PLC0415  # few ask for months

    last = _report_period.period_of(options["full"], datetime.fromtimestamp(now, timezone.utc), "UTC")
    return _report_period.before(last).since, last.since, last.until


def bound(options: dict[str, Any], since: float, until: float) -> Named:
    """Return the statement with its values.

    :raises ProbeError: it cannot be asked.
    """
    values: dict[str, tuple[str, str | None]] = {
        "since": ("timestamptz", moment(since)),
        "until": ("timestamptz", moment(until)),
    }
    taken = [name for name in PERIOD if name in options["parameters"]]
    if taken:
        raise ProbeError(f"it is not asked: its parameter :{taken[0]} is the period's", "rename it in ops_queries")
    try:
        values.update({name: typed(str(name), value) for name, value in options["parameters"].items()})
        return name_parameters(options["statement"], values)
    except QueryError as exc:
        raise ProbeError(f"it is not asked: {exc}", "correct its statement in ops_queries") from exc


def measure(options: dict[str, Any]) -> dict[str, Any]:
    """Return the rows of the period, and of the one before where they are compared."""
    before, since, until = periods(time.time(), options)
    end = time.monotonic() + options["timeout_seconds"]
    asked = bound(options, since, until)
    told = _ask(options, asked, end)
    timely = bool({*PERIOD} & asked.parameters)
    earlier, why_not = None, None
    if options["compare"] and timely:
        try:
            earlier = _ask(options, bound(options, before, since), end)
        except ProbeError as exc:  # the figure itself is known
            why_not = str(exc)
    return {
        "rows": told["rows"],
        "cut": told["cut"],
        "before": earlier["rows"] if earlier and not earlier["cut"] else None,
        "not_compared": why_not,
        "since": since if timely else None,
        "until": until,
    }


def _ask(options: dict[str, Any], asked: Named, end: float) -> dict[str, Any]:
    left = max(0.5, end - time.monotonic())
    seconds = min(options["statement_seconds"] or 0.8 * options["timeout_seconds"], left)
    asking = script(asked, seconds=seconds)
    told = json.loads(ask(options, asking, timeout_seconds=left, application="runbook.ops query"))
    return {"rows": [row for row in told["rows"] if isinstance(row, dict)], "cut": bool(told["cut"])}


def moment(at: float) -> str:
    """Return a time as PostgreSQL reads it."""
    return time.strftime("%Y-%m-%d %H:%M:%S+00", time.gmtime(at))


def judge(measured: dict[str, Any], options: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a check of the number where there is one, of how many rows there are, and of each row that has a figure."""
    return _query_checks.checks_of(measured, options)
