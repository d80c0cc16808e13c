# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A report as Markdown, and its summary as a message. Private to this collection."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils import _report_words as words

SHOWN = 12  # what a message spells out
Report = Mapping[str, Any]


def markdown(report: Report) -> str:
    """Return the report without its pictures."""
    parts = [
        f"# {cell(report['title'])}: {cell(report['period']['label'])}",
        cell(report["verdict"]),
        *_attention(report),
        *_findings(report),
        *_section("Targets", ("", "Figure", "Reached", "Target", "Error budget used", ""), _kpis(report)),
        *_section("The calendar", ("Entry", "When", "Due", "Missed", "Failed", "Late"), _calendar(report)),
        *_section("Checklist", ("", "Item", "Confirmed by", "When", "Due next"), _checklist(report)),
        *_section("Days until full", ("What", "Host", "Now", "In a month", "Full in"), _capacity(report)),
        *_section("Values", ("Check", "Host", "Last", "Lowest", "Highest"), _values(report)),
        *_section("Runs", ("Playbook", "Runs", "Failed", "Interrupted", "Changes", "Last"), _playbooks(report)),
        *_section("Records that could not be read", ("File", "Why"), _damaged(report)),
        f"Made from {report['records']['read']} records, {report['period']['since']} to {report['period']['until']}.",
    ]
    return "\n\n".join(parts) + "\n"


def cell(text: Any) -> str:
    """Return ``text`` so that it is text in Markdown, also within a table."""
    return re.sub(r"([\\`*_{}\[\]<>|#])", r"\\\1", words.clean(text))


def table(heads: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Return a table; nothing in its cells is markup."""
    lines = ["| " + " | ".join(heads) + " |", "|" + " --- |" * len(heads)]
    return "\n".join(lines + ["| " + " | ".join(cell(one) for one in row) + " |" for row in rows])


def summary(report: Report, path: str) -> dict[str, str]:
    """Return the subject and the text of a message: what needs attention, and where the whole report is."""
    lines = [report["verdict"], ""]
    for item in report["attention"][:SHOWN]:
        where = f"{item['host']}: " if item["host"] else ""
        lines.append(words.clean(f"{item['severity'].upper()}  {where}{item['title']}: {item['detail']}"))
        if item["remedy"]:
            lines.append(f"  what to do: {words.clean(item['remedy'])}")
    hidden = len(report["attention"]) - SHOWN
    lines += [f"And {hidden} more."] if hidden > 0 else []
    counts = report["counts"]
    lines += [
        "",
        f"{counts['runs']} runs, {counts['failed']} failed; {counts['missed']} of {counts['due']} of the calendar missed.",
    ]
    lines += [f"{one['name']}: {one['verdict']} ({words.figure(one['value'], one['unit'])})" for one in report["kpis"]]
    lines += ["", f"The whole report: {path}"]
    attention = counts["attention"]
    need = (
        "all is well"
        if not attention
        else "1 thing needs attention"
        if attention == 1
        else f"{attention} things need attention"
    )
    subject = words.clean(f"[{report['system']}] Report {report['period']['label']}: {need}")
    worst = report["attention"][0]["severity"] if report["attention"] else "ok"
    return {"subject": subject, "text": "\n".join(lines) + "\n", "status": worst}


def _section(title: str, heads: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[str]:
    return [f"## {title}", table(heads, rows)] if rows else []


def _attention(report: Report) -> list[str]:
    items = [
        f"- **{item['severity']}** {cell(item['title'])}{' on ' + cell(item['host']) if item['host'] else ''}: {cell(item['detail'])}"
        + (f"\n  - {cell(item['remedy'])}" if item["remedy"] else "")
        for item in report["attention"][: words.MOST_FOUND]
    ]
    return ["## What needs attention", "\n".join(items) or "Nothing.", *_more(report["attention"])]


def _findings(report: Report) -> list[str]:
    said = [f"## Findings\n\nAgainst the period before: {cell(report['period']['before'])}."]
    for group, (title, meaning) in words.GROUP_TITLES.items():
        found = report["findings"][group]
        rows = [
            (one["status"], one["name"], one["host"], one["detail"], words.finding_when(one, group))
            for one in found[: words.MOST_FOUND]
        ]
        if rows:
            said += [
                f"### {title}: {len(found)} ({meaning})",
                table(("", "Check", "Host", "What was seen", "When"), rows),
                *_more(found),
            ]
    return said


def _more(items: Sequence[Any]) -> list[str]:
    hidden = len(items) - words.MOST_FOUND
    return [f"And {hidden} more: {words.IN_DATA}."] if hidden > 0 else []


def _kpis(report: Report) -> list[tuple[Any, ...]]:
    return [
        (
            one["verdict"],
            one["name"],
            words.figure(one["value"], one["unit"]),
            words.target(one),
            words.figure(one["budget_used_percent"], "%"),
            one["reason"],
        )
        for one in report["kpis"]
    ]


def _calendar(report: Report) -> list[tuple[Any, ...]]:
    return [
        (one["name"], one["problem"] or one["when"], one["due"], one["missed"], one["failed"], one["late"])
        for one in report["calendar"]
    ]


def _checklist(report: Report) -> list[tuple[Any, ...]]:
    return [
        (words.due_state(one), one["name"], words.done_by(one), one["on"] or words.NOTHING, words.due_next(one))
        for one in report["checklist"]
    ]


def _capacity(report: Report) -> list[tuple[Any, ...]]:
    return [
        (one["name"], one["host"], words.figure(one["value"], one["unit"]), words.growth(one), words.until_full(one))
        for one in report["capacity"]
    ]


def _values(report: Report) -> list[tuple[Any, ...]]:
    drawn = [one for topic in report["topics"] for one in topic["charts"]]
    return [
        (one["name"], one["host"], *(words.figure(one[key], one["unit"]) for key in ("value", "lowest", "highest")))
        for one in (*drawn, *report["figures"])
    ]


def _playbooks(report: Report) -> list[tuple[Any, ...]]:
    return [
        (
            one["playbook"],
            one["runs"],
            one["failed"],
            one["interrupted"],
            one["changes"],
            f"{one['last_status']}, {one['last_at']}",
        )
        for one in report["playbooks"]
    ]


def _damaged(report: Report) -> list[tuple[Any, ...]]:
    return [(one["name"], one["reason"]) for one in report["records"]["damaged"]]
