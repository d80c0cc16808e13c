# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is right for a queue of jobs, wherever its numbers come from. Private to this collection."""

from __future__ import annotations

from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._checks import judge_high, make_check
from ansible_collections.runbook.ops.plugins.module_utils._probe_options import Option, limits

COUNT_OPTIONS = {
    "waiting": Option("limits", "jobs that wait for a worker: waiting, paused and prioritized", limits(1000)),
    "active": Option("limits", "jobs that are worked on", limits(None)),
    "delayed": Option("limits", "jobs that are due later", limits(None)),
    "failed": Option("limits", "jobs that failed, as many as are kept", limits(100)),
    "paused": Option("bool", "whether the queue may be paused", False),
}
REMEDIES = {
    "waiting": "see whether the workers run and how many there are: add some, or find what holds them up",
    "active": "see what the workers do: jobs may hang, or concurrency is set too high",
    "delayed": "see who schedules so many, or what is tried again and again",
    "failed": "read failedReason of the jobs, mend what they fail at, then try them again",
}


def count_checks(
    identity: str, name: str, counts: dict[str, Any], options: dict[str, Any], notes: dict[str, str] | None = None
) -> list[dict[str, Any]]:
    """Return a check for each number in ``counts``.

    :param counts: ``waiting``, ``active``, ``delayed``, ``failed``, each a number or None where nobody tells; ``paused``
    :param notes: what a detail says beside the number
    """
    checks = []
    for thing, usual in REMEDIES.items():
        count, remedy = counts.get(thing), usual
        if count is None:
            continue
        status, limit = judge_high(count, **options[thing])
        detail = (notes or {}).get(thing) or f"{count} {thing}"
        if thing == "waiting" and counts.get("paused"):
            detail = f"the queue is paused: {detail}"
            if not options["paused"] and status == "ok":
                status, remedy = "warning", "resume it, or find out who paused it and why"
        checks.append(
            make_check(
                f"{identity}:{thing}",
                name=f"{name} {thing}",
                section=options["section"],
                status=status,
                value=count,
                unit="jobs",
                limit=limit,
                detail=detail,
                remedy=remedy,
            )
        )
    return checks
