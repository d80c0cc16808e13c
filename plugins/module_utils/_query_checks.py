# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the answer to a system's own question says: its value, what is missing, how it changed. Private to this collection."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._checks import judge_high, judge_low, make_check

MOST_THINGS = 20  # rows that are a check of their own
ORDER = ("ok", "warning", "critical")
Row = Mapping[str, Any]
Check = dict[str, Any]


def checks_of(measured: Mapping[str, Any], options: Mapping[str, Any]) -> list[Check]:
    """Return the checks of an answer.

    :param measured: ``rows``, those of the period ``before`` or None, why they are ``not_compared`` or None, whether they were ``cut``,
        ``since`` or None, and ``until``
    """
    first, *others = _of_answer(measured, options)
    if measured["not_compared"]:
        first["detail"] += f"; not compared with the period before: {measured['not_compared']}"
        if first["status"] == "ok":
            first.update(
                status="unknown", remedy="make its statement faster, or give it more time in ops_queries (timeout)"
            )
    return [first, *others]


def _of_answer(measured: Mapping[str, Any], options: Mapping[str, Any]) -> list[Check]:
    rows, column = measured["rows"], options["figure"]
    if column and any(column not in row for row in rows):
        return [_check(options, None, status="unknown", detail=f"there is no column {column}: {', '.join(rows[0])}")]
    if column and all(next(iter(row)) != column for row in rows):
        return [_whole(measured, options, None), *_things(measured, options)]
    nothing = _no_number(rows, column)
    if nothing:
        return [_check(options, None, status="unknown", detail=f"{nothing}{_days(measured)}")]
    return [_whole(measured, options, _single(rows, column))]


def _single(rows: Sequence[Row], column: str | None) -> float | None:
    """Return the number that the answer is; None where it is none."""
    if len(rows) != 1 or (not column and len(rows[0]) != 1):
        return None
    return _number(rows[0][column] if column else next(iter(rows[0].values())))


def _no_number(rows: Sequence[Row], column: str | None) -> str | None:
    """Return why an answer that should be one number is none: the sum of no rows is NULL, not one row."""
    if len(rows) != 1 or (not column and len(rows[0]) != 1):
        return None
    value = rows[0][column] if column else next(iter(rows[0].values()))
    if value is None:
        return "the answer is NULL: write coalesce(…, 0) where nothing means 0"
    return f"{column} is no number: {_text(value)}" if column and _number(value) is None else None


def _number(value: Any) -> float | None:
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _whole(measured: Mapping[str, Any], options: Mapping[str, Any], single: float | None) -> Check:
    """Return the check of the whole answer: its number, or how many rows there are, and what is missing."""
    rows, before = measured["rows"], measured["before"]
    value = len(rows) if single is None else single
    told = [_shown(row) for row in rows[: options["rows"]]] if single is None else [_text(single)]
    detail = "; ".join(told) or "no row"
    if single is None and len(rows) > options["rows"]:
        detail += f"; and {len(rows) - options['rows']} more"
    if measured["cut"]:
        detail += f"; there are more than these {len(rows)}: the rest was not fetched"
    by_things = bool(options["figure"]) and single is None
    status, limit = ("ok", None) if by_things else _judged(value, options)
    earlier = _single(before, options["figure"]) if before is not None and single is not None else None
    status, compared = _compared(status, single, earlier, options)
    if before is not None and single is None and not measured["cut"]:
        names, earlier_names = _names(rows, before, options["figure"])
        gone = [name for name in earlier_names if name not in set(names)]
        if gone:
            status = max(status, "warning", key=ORDER.index)
            detail = f"missing since the period before: {', '.join(gone[:5])}; {detail}"
    unit = "rows" if single is None and (by_things or not options["unit"]) else options["unit"]
    return _check(
        options, None, status=status, value=value, unit=unit, limit=limit, detail=f"{detail}{compared}{_days(measured)}"
    )


def _things(measured: Mapping[str, Any], options: Mapping[str, Any]) -> list[Check]:
    """Return a check for each of the first rows, by what its first column says, or where several say it, all before the figure."""
    column, rows, past = options["figure"], measured["rows"], measured["before"] or []
    names, earlier_names = _names(rows, past, column)
    # Which of several that are called alike was which is not known: none is compared.
    before = {name: row for name, row in zip(earlier_names, past) if earlier_names.count(name) == 1}
    found: list[Check] = []
    for name, row in list(zip(names, rows))[:MOST_THINGS]:
        value, earlier = _number(row[column]), before.get(name) if names.count(name) == 1 else None
        if value is None:
            found.append(_check(options, name, status="unknown", detail=f"{column} is no number: {_text(row[column])}"))
            continue
        status, limit = _judged(value, options)
        status, compared = _compared(status, value, _number(earlier.get(column)) if earlier else None, options)
        detail = f"{_shown(row)}{compared}{_days(measured)}"
        found.append(
            _check(options, name, status=status, value=value, unit=options["unit"], limit=limit, detail=detail)
        )
    return found


def _names(rows: Sequence[Row], before: Sequence[Row], column: str | None) -> tuple[list[str], list[str]]:
    """Return what each row of both periods is called: alike in both, whatever order they come in."""
    both = [[_name(row) for row in period] for period in (rows, before)]
    several = {name for period in both for name, count in Counter(period).items() if count > 1 and column}
    told = [
        [_long(row, column) if name in several else name for name, row in zip(names, period)]
        for names, period in zip(both, (rows, before))
    ]
    return told[0], told[1]


def _long(row: Row, column: str | None) -> str:
    """Return all that stands before the figure."""
    columns = list(row)
    until = columns.index(column) if column in columns else 1
    return ", ".join(_text(row[key]) for key in columns[: max(1, until)])


def _judged(value: float, options: Mapping[str, Any]) -> tuple[str, float | None]:
    both = (judge_high(value, **options["at_most"]), judge_low(value, **options["at_least"]))
    return max(both, key=lambda one: (ORDER.index(one[0]), one[1] is not None))


def _compared(status: str, value: float | None, before: float | None, options: Mapping[str, Any]) -> tuple[str, str]:
    """Return the status with that of the change, and the change in words."""
    if value is None or before is None:
        return status, ""
    if value == before:
        return status, ", as in the period before"
    if not before:
        return status, ", 0 in the period before"
    change = 100 * (value - before) / abs(before)
    other, _limit = judge_high(abs(change), **options["changed_percent"])
    return max(status, other, key=ORDER.index), f", {change:+.1f} % against {_text(before)} in the period before"


def _check(options: Mapping[str, Any], thing: str | None, **told: Any) -> Check:
    name = options["name"] or "Query"
    return make_check(
        f"query:{name}" if thing is None else f"query:{name}:{thing}",
        name=name if thing is None else f"{name}: {thing}",
        section=options["section"],
        remedy="see why it stopped, or went beyond what is usual",
        **told,
    )


def _days(measured: Mapping[str, Any]) -> str:
    """Return the days that are meant."""
    if measured["since"] is None:
        return " (now)"
    first, last = (time.strftime("%Y-%m-%d", time.gmtime(at)) for at in (measured["since"], measured["until"] - 1))
    return f" ({first if first == last else f'{first} to {last}'} UTC)"


def _name(row: Row) -> str:
    return _text(next(iter(row.values()), ""))


def _shown(row: Row) -> str:
    values = list(row.items())
    rest = ", ".join(f"{key} {_text(value)}" for key, value in values[1:])
    return f"{_name(row)}: {rest}" if rest else _name(row)


def _text(value: Any) -> str:
    text = f"{value:.6g}" if isinstance(value, float) and value != int(value) else str(value)
    return f"{text[:10]} {text[11:19]}" if len(text) > 18 and text[10:11] == "T" else text[:60]
