# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The summary of a diagnosis as one page that needs nothing else. Private to this collection; runs on the controller only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._diagnose_summary import (
    ago,
    changes,
    file_of,
    gaps,
    stamp,
    troubles,
    verdict,
)

STYLE = """
:root{color-scheme:light dark}body{font:15px/1.45 system-ui,sans-serif;max-width:72rem;margin:1.5rem auto;padding:0 1rem}
h1{font-size:1.4rem;margin-bottom:0}h2{font-size:1.1rem;margin:2rem 0 .5rem;border-bottom:1px solid #8886}
table{border-collapse:collapse;width:100%}td,th{text-align:left;vertical-align:top;padding:.25rem .6rem .25rem 0;border-bottom:1px solid #8883}
td.at,td.n{white-space:nowrap}.critical,.failed{color:#c62828}.warning{color:#b26a00}.unknown{color:#6a1b9a}
@media(prefers-color-scheme:dark){.critical,.failed{color:#ff7b72}.warning{color:#e3b341}.unknown{color:#d2a8ff}}
.card{border-left:4px solid currentColor;padding:.3rem .8rem;margin:.6rem 0}.card>*{color:CanvasText}.card>b:first-child{color:inherit}
.dim{opacity:.7}code{font-size:.9em}
"""
# Nothing on this page may load or run anything: what hosts say is shown, not obeyed.
POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def page(title: str, hosts: Sequence[Mapping[str, Any]], *, at: float) -> str:
    """Return the page."""
    parts = [
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>',
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}"><meta name="viewport" content="width=device-width">',
        f"<style>{STYLE}</style></head><body><h1>{escape(title)}</h1>",
        f'<p class="dim">{stamp(at)} · {escape(verdict(hosts))}</p>',
        _troubles(hosts),
        _gaps(hosts),
        _changes(hosts, at),
        *(_index(host) for host in hosts),
        "</body></html>\n",
    ]
    return "\n".join(part for part in parts if part)


def _troubles(hosts: Sequence[Mapping[str, Any]]) -> str:
    cards = []
    for root in troubles(hosts):
        check, many = root["check"], root["consequences"]
        said = f"<b>{escape(check['status'])}</b> <b>{escape(root['host'])}: {escape(check['name'])}</b> {escape(check['detail'] or '')}"
        if check.get("remedy"):
            said += f"<br>→ {escape(check['remedy'])}"
        if many:
            rows = "".join(f"<li>{escape(one['name'])}: {escape(one['detail'] or '')}</li>" for one in many)
            said += f"<details><summary>{len(many)} more follow from it</summary><ul>{rows}</ul></details>"
        cards.append(f'<div class="card {escape(check["status"])}">{said}</div>')
    return "<h2>What is wrong</h2>" + ("".join(cards) or "<p>Nothing that was checked.</p>")


def _gaps(hosts: Sequence[Mapping[str, Any]]) -> str:
    lines = "".join(f'<li class="failed">{escape(line)}</li>' for line in gaps(hosts))
    return f"<h2>Not looked at</h2><ul>{lines}</ul>" if lines else ""


def _changes(hosts: Sequence[Mapping[str, Any]], at: float) -> str:
    rows = "".join(
        f'<tr><td class="at">{stamp(one["at"])}</td><td class="n">{ago(at, one["at"])} ago</td><td class="n">{escape(one["host"])}</td>'
        f"<td>{escape(one['what'])}</td><td>{escape(one['text'])}</td></tr>"
        for one in changes(hosts)
    )
    return "<h2>What changed lately</h2>" + (
        f"<table>{rows}</table>" if rows else "<p>Nothing that leaves a trace.</p>"
    )


def _index(host: Mapping[str, Any]) -> str:
    rows = "".join(
        f'<tr><td class="n"><a href="{escape(file_of(host["host"], topic))}">{escape(topic["title"])}</a></td>'
        f'<td class="{escape(topic["status"])}">{escape(topic["error"] or topic["note"] or topic["status"])}{" (cut)" if topic["cut"] else ""}</td>'
        f'<td class="n dim">{topic["seconds"] if topic["seconds"] is not None else "-"} s</td></tr>'
        for topic in host.get("topics") or []
    )
    return f"<h2>Evidence of {escape(host['host'])}</h2><table>{rows}</table>" if rows else ""
