# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tables and pictures of a report's page. Private to this collection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils import _report_words as words
from ansible_collections.runbook.ops.plugins.module_utils._report_svg import chart, gauge, shown, spark, strip, text
from ansible_collections.runbook.ops.plugins.module_utils._series import thin

TABLE_POINTS = 24
MOST_SMALL = 400
Report = Mapping[str, Any]


def _table(heads: Sequence[str], rows: str, kind: str = "") -> str:
    cells = "".join(f"<th{' class=r' if head.startswith('>') else ''}>{head.lstrip('>')}</th>" for head in heads)
    return f'<div class="panel"><table{kind and f" class={kind}"}><thead><tr>{cells}</tr></thead><tbody>{rows}</tbody></table></div>'


def _mark(status: str, word: str) -> str:
    return f'<span class="s {status}"><i aria-hidden="true">{words.SHAPES[status]}</i>{text(word)}</span>'


def kpis(report: Report) -> str:
    """Return the figures against their targets."""
    rows = []
    for one in report["kpis"]:
        status, word = words.VERDICTS[one["verdict"]]
        used = one["budget_used_percent"]
        budget = "\u2013"
        if used is not None:
            said = f"{words.number(used)} % used"
            budget = gauge(used, f"error budget of {one['name']}: {said}") + f'<span class="w">{said}</span>'
        rows.append(
            f"<tr><td>{_mark(status, word)}</td><th scope=row>{text(one['name'])}<small>{text(one['reason'])}</small></th>"
            f'<td class=r data-l="reached">{shown(one["value"], one["unit"])}</td>'
            f'<td class=r data-l="target">{text(words.target(one))}</td><td data-l="budget">{budget}</td></tr>'
        )
    return _table(("", "Figure", ">Reached", ">Target", "Error budget"), "".join(rows)) if rows else ""


def calendar(report: Report) -> str:
    """Return what of the calendar ran, a row for each entry."""
    entries = report["calendar"]
    if not entries:
        return ""
    rows = "".join(
        f"<tr><th scope=row>{text(one['name'])}<small>{text(one['playbook'])} · {text(one['when'])}</small></th>"
        f"<td>{strip(one['name'], one['slots']) if one['slots'] and one['due'] else ''}</td><td>{_outcome(one)}</td></tr>"
        for one in entries
    )
    used = {slot for one in entries for slot in one["slots"]}
    key = "".join(
        f'<li class="dim"><svg viewBox="0 0 10 10" class="{name}" aria-hidden="true"><use href="#m-{name}"/></svg>{meaning}</li>'
        for name, meaning in words.SLOTS.items()
        if name in used
    )
    each = "day" if report["period"]["kind"] in ("week", "month") else "week"
    note = f'<p class="note">One mark for each {each}. Of several runs, the worst is shown.</p>'
    key = f'<ul class="key">{key}</ul>' if used - {"none"} else ""
    return note + _table(("Entry", "", "What became of it"), rows, "plan") + key


def _outcome(one: Mapping[str, Any]) -> str:
    if one["problem"]:
        return _mark("unknown", one["problem"])
    if one["done_by"]:
        return f"done by {text(one['done_by'])}, which leaves no record"
    if not one["due"]:
        return '<span class="dim">not due in this period</span>'
    ran = one["due"] - one["missed"] - one["pending"]
    said = f"{shown(ran, None)} of {shown(one['due'], None)} ran"
    said += "".join(f", {shown(one[name], None)} {name}" for name in ("late", "failed", "pending") if one[name])
    if not one["missed"]:
        return _mark("ok", said) if not one["failed"] else _mark("warning", said)
    last = f"<small>the last time {words.minute(one['missed_at'][-1])} UTC</small>"
    return _mark("warning", f"{shown(one['missed'], None)} missed") + f", {said}{last}"


def checklist(report: Report) -> str:
    """Return what people have to do again and again: who confirmed it when, and when it is due next."""
    rows = "".join(
        f"<tr><td>{_mark(one['status'], words.due_state(one))}</td><th scope=row>{text(one['name'])}<small>{text(one['what'] or '')}</small></th>"
        f'<td>{text(words.done_by(one))}</td><td class=w data-l="when">{text(one["on"] or words.NOTHING)}</td>'
        f'<td class=w data-l="due next">{text(words.due_next(one))}</td></tr>'
        for one in report["checklist"]
    )
    note = (
        f'<p class="note">As it was at the end of the period. Days are those of {text(report["period"]["zone"])}.</p>'
    )
    return note + _table(("", "Item", "Confirmed by", "When", "Due next"), rows) if rows else ""


def capacity(report: Report) -> str:
    """Return when what can be full will be."""
    rows = "".join(
        f"<tr><td>{_mark(*_urgency(one))}</td><th scope=row>{text(one['name'])}<small>{text(one['host'])}</small></th>"
        f'<td class=r data-l="now">{shown(one["value"], one["unit"])}</td>'
        f'<td class=r data-l="full at">{shown(one["full_at"], one["unit"])}</td>'
        f'<td class=r data-l="a month">{text(words.growth(one))}</td><td data-l="full">{text(words.until_full(one))}</td></tr>'
        for one in report["capacity"]
    )
    note = (
        '<p class="note">A line through the values of the last months; a clean-up counts as a step, not as growth. In brackets, between which '
        "days it likely is. Where the values do not tell, that is what it says.</p>"
    )
    heads = ("", "What", ">Now", ">Full at", ">In a month", "Full in")
    return note + _table(heads, rows) if rows else ""


def _urgency(one: Mapping[str, Any]) -> tuple[str, str]:
    if one["verdict"] in ("full", "days"):
        status = "critical" if one["days"] < 7 else "warning" if one["days"] < 30 else "ok"
        return status, "now" if one["verdict"] == "full" else {
            "critical": "this week",
            "warning": "this month",
            "ok": "later",
        }[status]
    return ("unknown", "cannot tell") if one["verdict"] == "unknown" else ("ok", "not soon")


def charts(report: Report) -> str:
    """Return the pictures by topic, and all other values below."""
    forecasts = {(one["host"], one["id"]): one for one in report["capacity"]}
    span = (words.at_of(report["drawn_since"]).timestamp(), words.at_of(report["period"]["until"]).timestamp())
    several = len({one["host"] for topic in report["topics"] for one in topic["charts"]}) > 1
    drawn: list[str] = []
    for topic in report["topics"]:
        for one in topic["charts"]:
            above = topic["title"] + (f" · {one['host']}" if several else "")
            drawn.append(_figure(one, len(drawn) + 1, span, forecasts.get((one["host"], one["id"])), above))
    pictures = f'<div class="charts">{"".join(drawn)}</div>' if drawn else ""
    return pictures + _others(report["figures"])


def _figure(one: Mapping[str, Any], number: int, span: tuple[float, float], forecast: Any, above: str) -> str:
    picture = chart(one, number, since=span[0], until=span[1], growth=forecast)
    ahead = f"<p>full in {text(words.until_full(forecast))}</p>" if forecast and forecast["verdict"] == "days" else ""
    rows = "".join(
        f"<tr><td>{words.minute(at)}<td class=r>{shown(value, one['unit'])}"
        for at, value in thin(one["points"], TABLE_POINTS)
    )
    return (
        f"<figure><figcaption><span><small>{text(above)}</small>{text(one['name'])}</span><b>{shown(one['value'], one['unit'])}</b></figcaption>"
        f'{picture}{ahead}<details><summary>Values</summary><div class="scroll"><table>{rows}</table></div></details></figure>'
    )


def _others(figures: Sequence[Mapping[str, Any]]) -> str:
    rows = "".join(
        f"<tr><th scope=row>{text(one['name'])}<small>{text(one['host'])}</small></th><td>{_spark(one)}</td>"
        f'<td class=r data-l="last">{shown(one["value"], one["unit"])}</td>'
        f'<td class=r data-l="lowest">{shown(one["lowest"], one["unit"])}</td>'
        f'<td class=r data-l="highest">{shown(one["highest"], one["unit"])}</td></tr>'
        for one in figures[:MOST_SMALL]
    )
    if not rows:
        return ""
    more = f"<p>And {len(figures) - MOST_SMALL} more.</p>" if len(figures) > MOST_SMALL else ""
    table = _table(("Check", "", ">Last", ">Lowest", ">Highest"), rows)
    return f'<details class="more"><summary>All other values ({len(figures)})</summary>{table}{more}</details>'


def _spark(one: Mapping[str, Any]) -> str:
    return spark(one) if len(one["points"]) > 1 else '<span class="dim">one value</span>'


def playbooks(report: Report) -> str:
    """Return which playbooks ran, how often and how well."""
    rows = "".join(
        f'<tr><th scope=row>{text(one["playbook"])}</th><td class=r data-l="runs">{shown(one["runs"], None)}</td>'
        f'<td class=r data-l="failed">{one["failed"]}</td><td class=r data-l="interrupted">{one["interrupted"]}</td>'
        f'<td class=r data-l="changes">{shown(one["changes"], None)}</td>'
        f'<td class=r data-l="usually takes">{words.duration(one["median_seconds"])}</td>'
        f"<td>{_mark(*_last(one))}<small class=w>{words.minute(one['last_at'])}</small></td></tr>"
        for one in report["playbooks"]
    )
    heads = ("Playbook", ">Runs", ">Failed", ">Interrupted", ">Changes", ">Usually takes", "Last run")
    return _table(heads, rows) if rows else ""


def _last(one: Mapping[str, Any]) -> tuple[str, str]:
    status = {"ok": "ok", "failed": "critical", "interrupted": "warning", "running": "unknown"}[one["last_status"]]
    return status, one["last_status"]
