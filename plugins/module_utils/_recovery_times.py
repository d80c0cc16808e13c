# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long a recovery took and how much it lost, against what was promised. Private to this collection."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._checks import make_check
from ansible_collections.runbook.ops.plugins.module_utils._units import human_duration

SECTION = "Recovery"
STAMP = re.compile(r"_(\d{8}T\d{6}Z)$")


def taken_at(name: str) -> float:
    """Return when the backup ``name`` was taken, in seconds since the epoch.

    :raises ValueError: it is no name of a backup.
    """
    found = STAMP.search(name)
    if not found:
        raise ValueError(f"{name!r} is no name of a backup, which ends in a moment such as 20260205T020000Z")
    return datetime.strptime(found[1], "%Y%m%dT%H%M%SZ").replace(tzinfo=timezone.utc).timestamp()


def judge(
    marks: Sequence[Mapping[str, Any]],
    backups: Sequence[str],
    *,
    rto_seconds: float | None,
    rpo_seconds: float | None,
    failed: str | None = None,
    data_only: bool = False,
    for_real: bool = False,
) -> list[dict[str, Any]]:
    """Return what a recovery measured, as checks.

    :param marks: ``step`` and ``at``, the moment at which it was done; the first is the beginning
    :param backups: names of the backups that were restored
    :param failed: what failed, where the recovery did not come to its end
    :param data_only: whether only data was restored, as a test: its time is no recovery time
    :param for_real: whether it was no drill: that a promise was not kept is no failure of it then
    """
    if not marks:
        return []
    steps = [(after["step"], after["at"] - before["at"]) for before, after in zip(marks, marks[1:])]
    total = marks[-1]["at"] - marks[0]["at"]
    late = "warning" if for_real else "critical"
    checks = [
        _test_time(total, failed) if data_only else _recovery_time(total, steps, rto_seconds, failed=failed, late=late)
    ]
    if backups:
        checks.append(_recovery_point(marks[0]["at"], backups, rpo_seconds, late=late))
    checks += [
        make_check(
            f"recovery:step:{name.replace(' ', '_')}", name=name, section=SECTION, status="ok", value=round(seconds, 1),
            unit="s", detail=f"{round(100 * seconds / total) if total else 0} % of the time",
        )
        for name, seconds in steps
    ]  # fmt: skip
    return checks


def _recovery_time(
    total: float, steps: Sequence[tuple[str, float]], limit: float | None, *, failed: str | None, late: str
) -> dict[str, Any]:
    longest = max(steps, key=lambda one: one[1], default=("nothing", 0.0))
    most = f"most of it for: {longest[0]} ({human_duration(longest[1])})"
    if failed:
        last = steps[-1][0] if steps else "the beginning"
        status, detail = (
            "critical",
            f"not recovered: it failed {human_duration(total)} after its beginning, after: {last}",
        )
    elif limit is None:
        status, detail = "warning", f"recovered in {human_duration(total)}, {most}; no time is promised"
    else:
        status = late if total > limit else "ok"
        detail = f"recovered in {human_duration(total)}, promised are {human_duration(limit)}; {most}"
    remedy = (
        "Describe the promise in ops_objectives.rto" if limit is None else "Shorten the longest step, or promise less"
    )
    return make_check(
        "recovery:rto", name="recovery time", section=SECTION, status=status, value=round(total, 1), unit="s", limit=limit,
        detail=detail, remedy=failed or remedy,
    )  # fmt: skip


def _test_time(total: float, failed: str | None) -> dict[str, Any]:
    said = "not restored: it failed after" if failed else "fetched and restored in"
    return make_check(
        "recovery:test", name="test restore", section=SECTION, status="critical" if failed else "ok", value=round(total, 1),
        unit="s", detail=f"{said} {human_duration(total)}; a recovery with its host and its services takes longer", remedy=failed,
    )  # fmt: skip


def _recovery_point(began: float, backups: Sequence[str], limit: float | None, *, late: str) -> dict[str, Any]:
    oldest = min(backups, key=taken_at)
    lost = max(began - taken_at(oldest), 0)
    said = f"{human_duration(lost)} of data would be lost: the oldest of what was restored is {oldest}"
    if limit is None:
        status, detail = "warning", f"{said}; nothing is promised"
    else:
        status, detail = (late if lost > limit else "ok"), f"{said}; promised are at most {human_duration(limit)}"
    remedy = (
        "Describe the promise in ops_objectives.rpo"
        if limit is None
        else "Make backups more often, and see why the newest copy is so old"
    )
    return make_check(
        "recovery:rpo", name="recovery point", section=SECTION, status=status, value=round(lost, 1), unit="s", limit=limit,
        detail=detail, remedy=remedy,
    )  # fmt: skip
