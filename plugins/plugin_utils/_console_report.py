# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run found and did: collected from task results, shown as tables and a verdict. Private to this collection."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._checks import STATUSES, worst_status
from ansible_collections.runbook.ops.plugins.plugin_utils._console import (
    HUMAN,
    SIGNS,
    Line,
    columns,
    count,
    fold,
    joined,
    one_line,
    pad,
    quantity,
    took,
)

Record = dict[str, Any]
Row = tuple[str, list[str], str, str]  # paint, cells, prose, note
PAINT = {"critical": "failed", "warning": "warning", "unknown": "unknown", "ok": "ok"}
NARROW = 70  # columns below which a table is written as a list
MANY_HOSTS = 4  # from so many hosts on, the table leaves out the checks that are ok, and counts them


@dataclass
class Report:
    """What was observed and changed on one host: checks by id, the later wins; changes in order."""

    checks: dict[str, Record] = field(default_factory=dict)
    changes: list[Record] = field(default_factory=list)

    def add(self, checks: list[Record], changes: list[Record]) -> None:
        """Take in what one task found."""
        self.checks.update({check["id"]: check for check in checks})
        self.changes += [change for change in changes if change not in self.changes]


def find(result: Mapping[str, Any]) -> tuple[list[Record], list[Record]]:
    """Return the checks and the changes in a task's result, in those of its items, and in facts that it set."""
    checks: list[Record] = []
    changes: list[Record] = []
    for source in sources(result):
        checks += [normal_check(one) for one in listed(source, "checks") if {"id", "name", "status"} <= one.keys()]
        changes += [one for one in listed(source, "changes") if {"thing", "action"} <= one.keys()]
    return checks, changes


def sources(result: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the mappings of ``result`` that may hold checks and changes, ``result`` itself first."""
    items = result.get("results")
    loop = [item for item in items if isinstance(item, Mapping)] if isinstance(items, list) else []
    facts = [one.get("ansible_facts") for one in (result, *loop)]
    values = [value for one in facts if isinstance(one, Mapping) for value in one.values()]
    return [result, *loop, *(value for value in values if isinstance(value, Mapping))]


def listed(source: Mapping[str, Any], key: str) -> list[Record]:
    """Return the mappings in the list ``source[key]``; other modules may use that name for something else."""
    value = source.get(key)
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def normal_check(check: Record) -> Record:
    """Return ``check`` with a status that is one of ours."""
    return check if check["status"] in STATUSES else {**check, "status": "unknown"}


def tally(checks: list[Record]) -> str:
    """Return how many checks have which status, the worst first: ``1 critical, 18 ok``."""
    found = [(status, sum(check["status"] == status for check in checks)) for status in reversed(STATUSES)]
    return ", ".join(f"{number} {status}" for status, number in found if number)


def check_lines(checks: list[Record], width: int, *, folds: bool, only_bad: bool = False) -> list[Line]:
    """Return the table of checks: those that are not ok first, each with its remedy, or with what it follows from."""
    names = {check["id"]: one_line(check["name"]) for check in checks}
    ordered = sorted(checks, key=lambda check: (-STATUSES.index(check["status"]), bool(check.get("because"))))
    shown = [check for check in ordered if check["status"] != "ok"] if only_bad else ordered
    rows = []
    for check in shown:
        status, unit = check["status"], check.get("unit")
        limit = quantity(check.get("limit"), unit)
        said = joined([f"limit {limit}" if limit else "", one_line(check.get("detail") or "")])
        cells = [f"{SIGNS[status]} {status}", one_line(check["name"]), quantity(check.get("value"), unit)]
        cause, remedy = check.get("because"), one_line(check.get("remedy") or "")
        advice = f"follows from {names.get(cause, cause)}" if cause else remedy
        rows.append((PAINT[status], cells, said, f"→ {advice}" if advice and status != "ok" else ""))
    lines = table(rows, width, folds=folds)
    hidden = len(checks) - len(shown)
    return [*lines, [("    ", ""), (f"✓ {count(hidden, 'check')} ok", "dim")]] if hidden else lines


def change_lines(changes: list[Record], width: int, *, folds: bool, predicted: bool = False) -> list[Line]:
    """Return the table of changes: what, the action, before and after, how long, and why."""
    rows, sign = [], SIGNS["predicted" if predicted else "changed"]
    for change in changes:
        unit = change.get("unit")
        moved = movement(change.get("before"), change.get("after"), unit)
        thing, action = one_line(change["thing"]), one_line(change["action"])
        cells = [f"{sign} {thing}", action, moved, took(change.get("seconds"))]
        rows.append(("changed", cells, one_line(change.get("reason") or ""), ""))
    return table(rows, width, folds=folds)


def movement(before: Any, after: Any, unit: str | None) -> str:
    """Return from where to where something went, its unit once; only from where, as long as the rest is not known."""
    if after is None:
        return "" if before is None else quantity(before, unit)
    left = quantity(before, unit if unit in HUMAN else None)
    return f"{left or 'none'} → {quantity(after, unit) or 'none'}"


def table(rows: list[Row], width: int, *, folds: bool) -> list[Line]:
    """Return rows of a paint, cells in columns, prose that takes the rest of the line, and a note below."""
    if not rows:
        return []
    widths = [max(columns(row[1][n]) for row in rows) for n in range(len(rows[0][1]))]
    prose_at = 4 + sum(each + 2 for each in widths if each)
    stacked = folds and (width < NARROW or width - prose_at < 24)
    return [line for row in rows for line in (stacked_row if stacked else wide_row)(row, widths, width, folds)]


def wide_row(row: Row, widths: list[int], width: int, folds: bool) -> list[Line]:
    """Return a row with its cells in columns."""
    paint, cells, prose, note = row
    line: Line = [("    ", "")]
    for n, (cell, each) in enumerate(zip(cells, widths)):
        line += [(pad(cell, each), paint if n == 0 else ""), ("  ", "")] if each else []
    indent, under = columns("".join(text for text, _paint in line)), 6 + widths[0]
    first, *more = fold(prose, width - indent if folds else None)
    lines: list[Line] = [[*line, (first, "dim")], *([(" " * indent, ""), (part, "dim")] for part in more)]
    return lines + [
        [(" " * under, ""), (part, "bold")] for part in (fold(note, width - under if folds else None) if note else [])
    ]


def stacked_row(row: Row, _widths: list[int], width: int, _folds: bool) -> list[Line]:
    """Return a row for a narrow terminal: the first two cells, and the rest below them."""
    paint, (first, second, *rest), prose, note = row
    lines: list[Line] = [[("    ", ""), (first, paint), (f"  {second}", "")]]
    for text, below in ((joined([*rest, prose]), "dim"), (note, "bold")):
        lines += [[("      ", ""), (part, below)] for part in (fold(text, width - 6) if text else [])]
    return lines


def verdict(report: Report, stats: Mapping[str, int]) -> tuple[str, str]:
    """Return how the run ended for a host, in a word and its paint: what failed outweighs what was observed."""
    if stats.get("unreachable"):
        return "unreachable", "failed"
    if stats.get("failures"):
        return "failed", "failed"
    worst = worst_status(report.checks.values())
    return worst, PAINT[worst]


def verdict_parts(report: Report, stats: Mapping[str, int], seconds: float, *, check_mode: bool) -> list[str]:
    """Return the figures behind a verdict: how long, which checks, how many changes and steps."""
    ran = stats.get("ok", 0) + stats.get("failures", 0) + stats.get("rescued", 0) + stats.get("unreachable", 0)
    names = ("failures", "unreachable", "rescued", "ignored", "changed", "skipped")
    told = [f"{stats[name]} {'failed' if name == 'failures' else name}" for name in names if stats.get(name)]
    changes = len(report.changes)
    return [
        took(seconds),
        f"checks: {tally(list(report.checks.values()))}" if report.checks else "",
        count(changes, "predicted change" if check_mode else "change") if changes else "",
        count(ran, "step") + (f" ({', '.join(told)})" if told else ""),
    ]
