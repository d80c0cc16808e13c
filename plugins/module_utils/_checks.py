# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one shape of an observation and of a change. Private to this collection."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

# From good to bad: not knowing is worse than ok, better than warned.
STATUSES = ("ok", "unknown", "warning", "critical")


def make_check(
    identity: str,
    *,
    name: str,
    section: str,
    status: str,
    value: Any = None,
    unit: str | None = None,
    limit: Any = None,
    detail: str = "",
    remedy: str | None = None,
) -> dict[str, Any]:
    """Return one observation.

    :param identity: stable and unique on a host, ``probe:thing``
    :param limit: the limit that ``value`` was compared with, in ``unit``; None where there is none
    :param detail: one line for people
    :param remedy: what to do next; dropped where the status is ok
    :raises ValueError: ``status`` is not one of :data:`STATUSES`.

    ``because`` is for the health engine: the id of the check that a bad one follows from.
    """
    if status not in STATUSES:
        raise ValueError(f"status must be one of {', '.join(STATUSES)}, not {status!r}")
    return {
        "id": identity,
        "name": name,
        "section": section,
        "status": status,
        "value": value,
        "unit": unit,
        "limit": limit,
        "detail": detail,
        "remedy": None if status == "ok" else remedy,
        "because": None,
    }


def make_change(
    thing: str,
    *,
    action: str,
    section: str,
    reason: str,
    before: Any = None,
    after: Any = None,
    unit: str | None = None,
    seconds: float | None = None,
) -> dict[str, Any]:
    """Return one change that was made, or in check mode would be made, to ``thing``, and why."""
    return {
        "thing": thing,
        "action": action,
        "section": section,
        "reason": reason,
        "before": before,
        "after": after,
        "unit": unit,
        "seconds": seconds,
    }


def judge_high(value: float, warning: float | None, critical: float | None) -> tuple[str, float | None]:
    """Return status and limit for a ``value`` that is bad when it is at or above a limit."""
    if critical is not None and value >= critical:
        return "critical", critical
    if warning is not None and value >= warning:
        return "warning", warning
    return "ok", warning if warning is not None else critical


def judge_low(value: float, warning: float | None, critical: float | None) -> tuple[str, float | None]:
    """Return status and limit for a ``value`` that is bad when it is below a limit."""
    if critical is not None and value < critical:
        return "critical", critical
    if warning is not None and value < warning:
        return "warning", warning
    return "ok", warning if warning is not None else critical


def worst_status(checks: Iterable[dict[str, Any]]) -> str:
    """Return the worst status among ``checks``; ok where there is none."""
    return max((check["status"] for check in checks), key=STATUSES.index, default="ok")
