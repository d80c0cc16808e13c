# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a diagnosis comes to: what is wrong first, then what changed, then where the evidence is. Private to this collection."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._checks import STATUSES
from ansible_collections.runbook.ops.plugins.module_utils._units import human_duration

Host = Mapping[str, Any]
SHOWN_EVENTS = 60
MANY = 5
BAD = ("critical", "warning", "unknown")


def troubles(hosts: Sequence[Host]) -> list[dict[str, Any]]:
    """Return the bad checks that follow from no other, the worst first, each with what follows from it."""
    roots = []
    for host in hosts:
        bad = [check for check in host.get("checks") or [] if check["status"] != "ok"]
        known = {check["id"] for check in bad}
        for check in bad:
            if check.get("because") not in known:
                follow = [one for one in bad if one.get("because") == check["id"]]
                roots.append({"host": host["host"], "check": check, "consequences": follow})
    return sorted(roots, key=lambda root: (-STATUSES.index(root["check"]["status"]), -len(root["consequences"])))


def changes(hosts: Sequence[Host], *, most: int = SHOWN_EVENTS) -> list[dict[str, Any]]:
    """Return what changed on all hosts, the latest first; many things of a kind in the same minute are one line."""
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for host in hosts:
        for one in (one for topic in host.get("topics") or [] for one in topic["events"]):
            groups.setdefault((host["host"], one["what"], one["at"] // 60), []).append({"host": host["host"], **one})
    found = []
    for group in groups.values():
        group.sort(key=lambda one: (-one["at"], one["text"]))
        if len(group) < MANY:
            found += group
        else:
            found.append(
                {**group[0], "text": f"{len(group)} at once: {', '.join(one['text'] for one in group[:6])}, …"}
            )
    return sorted(found, key=lambda one: (-one["at"], one["host"], one["text"]))[:most]


def gaps(hosts: Sequence[Host]) -> list[str]:
    """Return what could not be looked at, one line each."""
    lines = [f"{host['host']}: {host['error']}" for host in hosts if host.get("error")]
    for host in hosts:
        failed = [topic for topic in host.get("topics") or [] if topic["status"] == "failed"]
        lines += [f"{host['host']}: {topic['title']}: {topic['error']}" for topic in failed]
    return lines


def verdict(hosts: Sequence[Host]) -> str:
    """Return one line: how many hosts, and how bad it is."""
    reached = [host for host in hosts if not host.get("error")]
    counts = {
        status: sum(check["status"] == status for host in reached for check in host.get("checks") or [])
        for status in BAD
    }
    said = ", ".join(f"{count} {status}" for status, count in counts.items() if count) or "no check is bad"
    lost = f", {len(hosts) - len(reached)} of {len(hosts)} hosts not reached" if len(reached) < len(hosts) else ""
    return said + lost


def as_text(title: str, hosts: Sequence[Host], *, at: float, most: int = SHOWN_EVENTS) -> str:
    """Return the summary as plain text."""
    lines = [title, f"{stamp(at)}: {verdict(hosts)}", "", "WHAT IS WRONG"]
    found = troubles(hosts)
    for root in found:
        check, many = root["check"], root["consequences"]
        lines.append(f"  {check['status']:<8}  {root['host']}: {check['name']}: {check['detail']}")
        lines += [f"            → {check['remedy']}"] if check.get("remedy") else []
        lines += [f"            follows from it: {', '.join(one['name'] for one in many)}"] if many else []
    lines += [] if found else ["  nothing that was checked"]
    missing = gaps(hosts)
    lines += ["", "NOT LOOKED AT", *(f"  {line}" for line in missing)] if missing else []
    lines += ["", "WHAT CHANGED LATELY"]
    recent = changes(hosts, most=most)
    lines += [
        f"  {stamp(one['at'])}  {ago(at, one['at']):>8}  {one['host']}  {one['what']}  {one['text']}" for one in recent
    ]
    lines += [] if recent else ["  nothing that leaves a trace"]
    lines += ["", "WHAT STANDS OUT, AND WHERE TO READ IT"]
    for host in hosts:
        lines += [
            f"  {file_of(host['host'], topic)}: {topic['note']}" for topic in host.get("topics") or [] if topic["note"]
        ]
    return "\n".join(lines) + "\n"


def file_of(host: str, topic: Mapping[str, Any]) -> str:
    """Return the name of the file that holds a topic."""
    return f"{host}/{topic['topic']}.txt"


def stamp(at: float) -> str:
    """Return a time as people read it, in UTC."""
    return time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime(at))


def ago(now: float, at: float) -> str:
    """Return how long before ``now`` something was."""
    return human_duration(max(0, round(now - at)))
