# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A question of the system's own to its PostgreSQL database: reads only, within its time. Private to this collection."""

from __future__ import annotations

import json
import time
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._checks import judge_high, judge_low, make_check
from ansible_collections.runbook.ops.plugins.module_utils._probe_options import Option, limits
from ansible_collections.runbook.ops.plugins.module_utils._psql_session import PLACE, ask

SECTION = "Databases"
OPTIONS = {
    "statement": Option(
        "str", "SQL that returns rows; :since and :until stand for the period, its end excluded", required=True
    ),
    **PLACE,
    "period_seconds": Option("float", "length of the period, which ends with the last full day, UTC", 86400.0),
    "compare": Option("bool", "ask for the period before too: a row that is missing now is a warning", False),
    "at_most": Option("limits", "where the number of the only row is too high", limits(None)),
    "at_least": Option("limits", "where it is too low", limits(None)),
    "unit": Option("str", "unit of the number"),
    "rows": Option("int", "how many rows are shown", 5),
}
DAY = 86400
MOST_ROWS = 200
SCRIPT = """BEGIN TRANSACTION READ ONLY;
SELECT coalesce(json_agg(r), '[]') FROM (SELECT row_to_json(q) AS r FROM (
{statement}
) AS q LIMIT {most}) AS rows;
ROLLBACK;
"""


def period(now: float, seconds: float) -> tuple[float, float]:
    """Return begin and end of the period that ends with the last full day, UTC."""
    until = now // DAY * DAY
    return until - seconds, until


def script(statement: str) -> str:
    """Return what psql is told: nothing can be written, and every row is one line of JSON."""
    return SCRIPT.format(most=MOST_ROWS, statement=statement.strip().rstrip(";").strip())


def measure(options: dict[str, Any]) -> dict[str, Any]:
    """Return the rows of the period, and of the one before where they are compared."""
    since, until = period(time.time(), options["period_seconds"])
    end = time.monotonic() + options["timeout_seconds"]
    rows = _ask(options, since, until, end)
    before = _ask(options, since - options["period_seconds"], since, end) if options["compare"] else []
    return {"rows": rows, "before": before, "since": since, "until": until}


def _ask(options: dict[str, Any], since: float, until: float, end: float) -> list[dict[str, Any]]:
    left = max(0.5, end - time.monotonic())
    moments = [
        argument for key, at in (("since", since), ("until", until)) for argument in ("-v", f"{key}={moment(at)}")
    ]
    told = ask(
        options, script(options["statement"]), timeout_seconds=left, application="runbook.ops query", arguments=moments
    )
    return [row for row in json.loads(told) if isinstance(row, dict)]


def moment(at: float) -> str:
    """Return a time as a literal of SQL."""
    return time.strftime("'%Y-%m-%d %H:%M:%S+00'::timestamptz", time.gmtime(at))


def judge(measured: dict[str, Any], options: dict[str, Any]) -> list[dict[str, Any]]:
    """Return one check: of the number where there is one, and of rows that are missing."""
    rows = measured["rows"]
    single = next(iter(rows[0].values())) if len(rows) == 1 and len(rows[0]) == 1 else None
    value = single if isinstance(single, (int, float)) and not isinstance(single, bool) else len(rows)
    high, low = judge_high(value, **options["at_most"]), judge_low(value, **options["at_least"])
    order = ("ok", "warning", "critical")
    status, limit = max(high, low, key=lambda one: (order.index(one[0]), one[1] is not None))
    gone = [name for name in map(_name, measured["before"]) if name not in set(map(_name, rows))]
    detail = "; ".join(_shown(row) for row in rows[: options["rows"]]) if single is None else str(single)
    if len(rows) > options["rows"]:
        detail += f"; and {len(rows) - options['rows']} more"
    if gone:
        status = "warning" if status == "ok" else status
        detail = f"missing since the period before: {', '.join(gone[:5])}; " + detail
    days = time.strftime("%Y-%m-%d", time.gmtime(measured["since"]))
    last = time.strftime("%Y-%m-%d", time.gmtime(measured["until"] - 1))
    name = options["name"] or "Query"
    return [
        make_check(
            f"query:{name}",
            name=name,
            section=options["section"],
            status=status,
            value=value,
            unit=options["unit"] or ("rows" if single is None else None),
            limit=limit,
            detail=f"{detail or 'no row'} ({days if days == last else f'{days} to {last}'} UTC)",
            remedy="see why it stopped, or went beyond what is usual",
        )
    ]


def _name(row: dict[str, Any]) -> str:
    return str(next(iter(row.values()), ""))


def _shown(row: dict[str, Any]) -> str:
    values = list(row.items())
    rest = ", ".join(f"{key} {_short(value)}" for key, value in values[1:])
    return f"{_short(values[0][1])}: {rest}" if rest else _short(values[0][1])


def _short(value: Any) -> str:
    text = str(value)
    return f"{text[:10]} {text[11:19]}" if len(text) > 18 and text[10:11] == "T" else text[:60]
