# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks from the figures of a log. Private to this collection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._checks import judge_high, make_check
from ansible_collections.runbook.ops.plugins.module_utils._log_scan_cache import cache_check
from ansible_collections.runbook.ops.plugins.module_utils._log_scan_patterns import BUILT_IN, Pattern
from ansible_collections.runbook.ops.plugins.module_utils._log_scan_report import LEAST_REQUESTS
from ansible_collections.runbook.ops.plugins.module_utils._units import human_size

SECTION = "Logs"
ODD_PERCENT = 10.0  # of lines that are not of the format
SHOWN = 3  # of a top list, in a line for people


def checks_of(
    log: Mapping[str, Any], figures: Mapping[str, Any], patterns: Sequence[Pattern], period: str
) -> list[dict[str, Any]]:
    """Return the checks of one log. Their ids depend on the inventory alone, so that they are the same over a year."""
    limits = {one.name: one.per_day for one in patterns}
    checks: list[dict[str, Any] | None] = [_reading(log, figures, period)]
    checks += [_pattern_check(log, one, limits[one["name"]], period) for one in figures["patterns"]]
    requests = figures["requests"]
    if requests or has_requests(log) or log.get("p95_ms") or log.get("endpoints"):
        checks.append(_error_rate(log, requests, figures, period))
        checks.append(_response(log, {"p95_ms": log.get("p95_ms")}, requests, figures, period))
        for asked, one in zip(log.get("endpoints") or [], figures["asked"]):
            checks.append(_response(log, asked, one, figures, period))
    if log.get("cache") or figures["cache"]:
        checks.append(cache_check(log, SECTION, figures, period))
    return [check for check in checks if check]


def has_requests(log: Mapping[str, Any]) -> bool:
    """Return whether the format of a log is one of requests; JSON may be anything."""
    return (log.get("format") or "lines") not in ("lines", "json", *BUILT_IN)


def _reading(log: Mapping[str, Any], figures: Mapping[str, Any], period: str) -> dict[str, Any]:
    broken = 100 * figures["broken_lines"] / figures["lines"] if figures["lines"] else 0.0
    parts = [f"{figures['lines']} lines {period}, {human_size(figures['bytes_read'])} read"]
    if figures["broken_lines"]:
        parts.append(f"{figures['broken_lines']} of them not of its format ({broken:.2g} %)")
    if figures["undated_bytes"]:
        parts.append("they carry no time: all that the files hold is counted, however old")
    if not figures["ordered"]:
        parts.append("its times go back at least once, so each line's time was looked at")
    parts += figures["notes"]
    status = "warning" if broken >= ODD_PERCENT else "unknown" if figures["notes"] else "ok"
    return make_check(
        f"log_scan:{log['name']}",
        name=log["name"],
        section=SECTION,
        status=status,
        value=figures["lines"],
        unit="lines",
        detail="; ".join(parts),
        remedy="correct its format in ops_logs" if broken >= ODD_PERCENT else "see the file and its rotated ones",
    )


def _pattern_check(
    log: Mapping[str, Any], one: Mapping[str, Any], per_day: Mapping[str, float | None], period: str
) -> dict[str, Any]:
    status, limit = judge_high(one["per_day"], per_day.get("warning"), per_day.get("critical"))
    status = status if one["count"] else "ok"  # a limit of 0 means any
    detail = f"{one['count'] or 'none'} {period}"
    for name, ranked in one["top"].items():
        detail += f"; {name}: {_named(ranked)}"
    if one["p95_ms"] is not None:
        detail += f"; half within {one['p50_ms']} ms, 95 % within {one['p95_ms']} ms, slowest {one['slowest_ms']} ms"
    if one["count"]:
        detail += f"; last {one['last_at']}" if one["last_at"] else ""
        detail += f": {one['examples'][-1]}" if one["examples"] else ""
    return make_check(
        f"log_scan:{log['name']}:{one['name']}",
        name=f"{log['name']}: {one['name']}",
        section=SECTION,
        status=status,
        value=one["per_day"],
        unit="lines/day",
        limit=limit,
        detail=detail,
        remedy="read them in full, and their first occurrence",
    )


def _named(ranked: Sequence[Mapping[str, Any]]) -> str:
    return ", ".join(f"{one['value']} ({one['count']})" for one in ranked[:SHOWN])


def _error_rate(
    log: Mapping[str, Any], requests: Mapping[str, Any] | None, figures: Mapping[str, Any], period: str
) -> dict[str, Any]:
    rate = requests["failed_percent"] if requests else 0.0
    count = requests["count"] if requests else 0
    status, limit = judge_high(rate, **{"warning": None, "critical": None, **(log.get("failed_percent") or {})})
    detail = f"{requests['failed'] if requests else 0} of {count} requests failed {period}"
    worst = sorted(figures["endpoints"], key=lambda one: -one["failed"])[:SHOWN]
    if worst and worst[0]["failed"]:
        detail += ", most at " + ", ".join(f"{one['endpoint']} ({one['failed']})" for one in worst if one["failed"])
    for name in ("addresses", "agents"):
        if figures["top"].get(name):
            detail += f"; {name}: {_named(figures['top'][name])}"
    return make_check(
        f"log_scan:{log['name']}:error_rate",
        name=f"{log['name']}: failed requests",
        section=SECTION,
        status=status if count >= LEAST_REQUESTS else "ok",
        value=rate,
        unit="%",
        limit=limit,
        detail=detail,
        remedy="read the server's error log and the application's for the same minutes",
    )


def _response(
    log: Mapping[str, Any],
    wanted: Mapping[str, Any],
    one: Mapping[str, Any] | None,
    figures: Mapping[str, Any],
    period: str,
) -> dict[str, Any] | None:
    """Return the check of a 95th percentile; none where a log tells no durations, and neither a limit nor an endpoint is described."""
    path, limits = wanted.get("endpoint") or "", wanted.get("p95_ms") or {}
    is_told = one is not None and one["p95_ms"] is not None
    if not (is_told or path or limits):
        return None
    one = one or {"count": 0, "p95_ms": None}
    status, limit = judge_high(one["p95_ms"] or 0, limits.get("warning"), limits.get("critical"))
    detail = f"no duration of {one['count']} requests is told {period}"
    if is_told:
        detail = f"95 % of {one['count']} requests within {one['p95_ms']} ms, half within {one['p50_ms']} ms, 99 % within {one['p99_ms']} ms {period}"
    slow = [each for each in figures["slowest"] if each["count"] >= LEAST_REQUESTS][:SHOWN]
    if slow and not path:
        detail += "; slowest: " + ", ".join(f"{each['endpoint']} ({each['p95_ms']} ms)" for each in slow)
    return make_check(
        f"log_scan:{log['name']}:p95{':' + path if path else ''}",
        name=f"{log['name']}: response time{' of ' + path if path else ''}",
        section=SECTION,
        status=status if one["count"] >= LEAST_REQUESTS else "ok",
        value=one["p95_ms"],
        unit="ms",
        limit=limit,
        detail=detail,
        remedy="see which of them need long: figures of this run, then the slow queries of the same time",
    )


def missing_check(log: Mapping[str, Any], message: str, remedy: str) -> dict[str, Any]:
    """Return the check of a log that cannot be read."""
    return make_check(
        f"log_scan:{log['name']}",
        name=log["name"],
        section=SECTION,
        status="unknown",
        detail=message,
        remedy=remedy,
    )
