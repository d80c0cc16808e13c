# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A report as one page that needs nothing else: no script, no font, no request. Private to this collection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils import _report_html_parts as parts
from ansible_collections.runbook.ops.plugins.module_utils._report_style import STYLE
from ansible_collections.runbook.ops.plugins.module_utils._report_svg import definitions, text
from ansible_collections.runbook.ops.plugins.module_utils._report_words import (
    GROUP_TITLES,
    IN_DATA,
    MOST_FOUND,
    SHAPES,
    figure,
    finding_when,
    minute,
)

# Nothing on this page may load or run anything: what hosts say is shown, not obeyed.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
MOST_CARDS = 40  # so many are read; of a system that is all wrong the page stays small
TILES = (
    ("attention", "need attention"),
    ("new", "new findings"),
    ("fixed", "fixed"),
    ("unchanged", "unchanged"),
    ("runs", "runs"),
    ("missed", "missed"),
)


def page(report: Mapping[str, Any]) -> str:
    """Return the page."""
    title = f"{report['title']}: {report['period']['label']}"
    sections = [
        ("attention", "What needs attention", _attention(report)),
        ("findings", "Findings", _findings(report)),
        ("kpis", "Targets", parts.kpis(report)),
        ("calendar", "The calendar", parts.calendar(report)),
        ("checklist", "Checklist", parts.checklist(report)),
        ("capacity", "Days until full", parts.capacity(report)),
        ("charts", "How it went", parts.charts(report)),
        ("runs", "Runs", parts.playbooks(report)),
        ("records", "What this report is made from", _records(report)),
    ]
    shown = [section for section in sections if section[2]]
    links = "".join(f'<a href="#{name}">{heading}</a>' for name, heading, _body in shown)
    bodies = (
        f'<section aria-labelledby="{name}"><h2 id="{name}">{heading}</h2>{body}</section>'
        for name, heading, body in shown
    )
    return "\n".join(
        (
            f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{text(title)}</title>',
            f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
            '<meta name="viewport" content="width=device-width,initial-scale=1"><meta name="referrer" content="no-referrer">',
            f"<style>{STYLE}</style></head><body>{definitions()}",
            _header(report, links),
            "<main>",
            *bodies,
            f"</main><footer>{_footer(report)}</footer></body></html>\n",
        )
    )


def marked(status: str, word: str = "") -> str:
    """Return a status as shape and word: colour only repeats it."""
    return f'<span class="s {status}"><i aria-hidden="true">{SHAPES[status]}</i>{text(word or status)}</span>'


def more(count: int, where: str) -> str:
    """Return how many are not shown, and where they are."""
    return f'<p class="note">And {figure(count, None)} more: {where}.</p>' if count > 0 else ""


def _header(report: Mapping[str, Any], links: str) -> str:
    counts = report["counts"]
    tiles = "".join(f"<div><dt>{words}</dt><dd>{figure(counts[name], None)}</dd></div>" for name, words in TILES)
    return (
        f'<header><p class="over">{text(report["title"])}</p><h1>{text(report["period"]["label"])}</h1>'
        f'<p class="lead">{text(report["verdict"])}</p><dl class="tiles">{tiles}</dl>'
        f'<nav aria-label="Sections">{links}</nav></header>'
    )


def _attention(report: Mapping[str, Any]) -> str:
    kinds = {"new": "new", "unchanged": "as before", "missed": "calendar", "capacity": "capacity", "kpi": "target"}
    cards = []
    items = report["attention"]
    for item in items[:MOST_CARDS]:
        where = f' <span class="dim">on {text(item["host"])}</span>' if item["host"] else ""
        kind = kinds.get(item["kind"])
        remedy = f'<div class="do">{text(item["remedy"])}</div>' if item["remedy"] else ""
        cards.append(
            f'<li class="{item["severity"]}"><div>{marked(item["severity"])}'
            + (f'<br><small class="dim">{kind}</small>' if kind else "")
            + f"</div><div><b>{text(item['title'])}</b>{where}<br>{text(item['detail'])}{remedy}</div></li>"
        )
    rest = more(len(items) - len(cards), "they stand in the sections below")
    return (
        f'<ul class="cards">{"".join(cards)}</ul>{rest}' if cards else f'<p class="note">{marked("ok", "Nothing.")}</p>'
    )


def _findings(report: Mapping[str, Any]) -> str:
    said = [_group(group, report["findings"][group]) for group in GROUP_TITLES]
    before = text(report["period"]["before"])
    note = f'<p class="note">Checks that were not good, against the period before: {before}.</p>'
    return note + ("".join(said) or "<p>None, neither now nor before.</p>")


def _group(group: str, found: Sequence[Mapping[str, Any]]) -> str:
    if not found:
        return ""
    title, meaning = GROUP_TITLES[group]
    shown = found[:MOST_FOUND]
    rows = "".join(
        f"<tr><td>{marked(one['status'])}</td><th scope=row>{text(one['name'])}<small>{text(one['host'])}</small></th>"
        f"<td>{text(one['detail'])}{_cause(one)}</td><td class=w>{text(finding_when(one, group))}</td></tr>"
        for one in shown
    )
    # Of what is over, the status is what it was.
    status = "It is" if group in ("new", "unchanged") else "It was"
    return (
        f'<h3>{title} ({figure(len(found), None)}) <small>· {meaning}</small></h3><div class="panel"><table class="found"><thead><tr><th>{status}</th>'
        f"<th>Check</th><th>What was seen</th><th>When</th></tr></thead><tbody>{rows}</tbody></table></div>{more(len(found) - len(shown), IN_DATA)}"
    )


def _cause(one: Mapping[str, Any]) -> str:
    return f"<small>follows from {text(one['because'])}</small>" if one["because"] else ""


def _records(report: Mapping[str, Any]) -> str:
    records, period = report["records"], report["period"]
    last = f", the last of {minute(records['last_at'])} UTC" if records["last_at"] else ""
    said = f"{figure(records['read'], None)} records of runs{last}. The period is {minute(period['since'])} to {minute(period['until'])} UTC"
    said += (
        "."
        if period["zone"] == "UTC"
        else f", by the clock of {text(period['zone'])}. Days and hours are in UTC but for those of the calendar."
    )
    rows = "".join(
        f"<tr><th scope=row>{text(one['name'])}</th><td>{text(one['reason'])}</td></tr>" for one in records["damaged"]
    )
    if rows:
        rows = (
            f"<h3><b>Could not be read</b> {len(records['damaged'])} <small>· left out; the files are still there</small></h3>"
            f'<div class="panel"><table><tbody>{rows}</tbody></table></div>'
        )
    return f'<p class="note">{said}</p>{rows}'


def _footer(report: Mapping[str, Any]) -> str:
    return f"{text(report['system'])} · {text(report['period']['name'])} · made by runbook.ops from records of runs, and from nothing else."
