# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Figures from what was counted in a log. Private to this collection."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._log_scan_patterns import Pattern
from ansible_collections.runbook.ops.plugins.module_utils._log_scan_tally import (
    OTHERS,
    Endpoint,
    Met,
    Tally,
    Tops,
    is_asked,
    percentile,
)
from ansible_collections.runbook.ops.plugins.module_utils._log_times import line_time

DAY = 86400.0
LEAST_SPAN = 3600.0
LEAST_REQUESTS = 20  # of fewer, shares and percentiles say little
PERCENTILES = (50, 95, 99)
Redact = Callable[[str], str]


def span_of(tally: Tally, *, since: float, now: float) -> float:
    """Return for how many seconds the log speaks: the period, or less where all there is begins later."""
    begin = since if tally.begins_at is None else max(since, tally.begins_at)
    return max(now - begin, min(LEAST_SPAN, now - since), 1.0)


def figures_of(
    log: Mapping[str, Any], tally: Tally, patterns: Sequence[Pattern], *, span: float, now: float, redact: Redact
) -> dict[str, Any]:
    """Return all that was counted, ready to be shown: values without secrets and personal data."""
    number = log.get("top_number", 10)
    whole = tally.requests.whole()
    return {
        "name": log["name"],
        "lines": tally.lines,
        "bytes_read": tally.bytes_read,
        "broken_lines": tally.broken,
        "undated_bytes": tally.undated,
        "ordered": tally.is_ordered,
        "first_at": _iso(tally.first_at),
        "last_at": _iso(tally.last_at),
        "span_seconds": round(span),
        "notes": list(tally.notes),
        "patterns": [
            _pattern(one.name, tally.met[one.name], span=span, now=now, number=number, redact=redact)
            for one in patterns
        ],
        "requests": _requests("(all)", whole) if whole.count else None,
        "statuses": dict(sorted(whole.statuses.items())),
        "endpoints": [
            _requests(redact(name), one)
            for name, one in sorted(tally.requests.endpoints.items(), key=lambda item: (-item[1].count, item[0]))[
                :number
            ]
        ],
        "slowest": [
            _requests(redact(name), one)
            for name, one in sorted(tally.requests.endpoints.items(), key=_slowness)[:number]
            if one.durations
        ],
        "asked": [_requests(one["endpoint"], _of_path(tally, one["endpoint"])) for one in log.get("endpoints") or []],
        "folded_endpoints": tally.requests.folded,
        "cache": dict(sorted(tally.cache.items())),
        "top": {name: _top(tops, number, redact) for name, tops in sorted(tally.tops.items())},
    }


def _of_path(tally: Tally, path: str) -> Endpoint:
    """Return what was asked of one path, with whatever method."""
    total = Endpoint()
    for name, one in tally.requests.endpoints.items():
        if is_asked(name, (path,)):
            total.merge(one)
    return total


def _slowness(item: tuple[str, Endpoint]) -> tuple[bool, int, str]:
    name, one = item
    return one.count < LEAST_REQUESTS, -(percentile(one.durations, 95) or 0), name


def _requests(name: str, one: Endpoint) -> dict[str, Any]:
    failed = sum(count for status, count in one.statuses.items() if status >= "500")
    return {
        "endpoint": name,
        "count": one.count,
        "failed": failed,
        "failed_percent": round(100 * failed / one.count, 3) if one.count else 0.0,
        **{f"p{percent}_ms": percentile(one.durations, percent) for percent in PERCENTILES},
        "slowest_ms": max(one.durations, default=None),
    }


def _pattern(name: str, met: Met, *, span: float, now: float, number: int, redact: Redact) -> dict[str, Any]:
    return {
        "name": name,
        "count": met.count,
        "per_day": round(met.count * DAY / span, 2),
        "first_at": _iso(line_time(met.first, now)),
        "last_at": _iso(line_time(met.last, now)),
        "top": {name: _top(tops, number, redact) for name, tops in sorted(met.groups.items())},
        **{f"p{percent}_ms": percentile(met.durations, percent) for percent in PERCENTILES},
        "slowest_ms": max(met.durations, default=None),
        "examples": [shown(line, redact) for line in met.examples],
    }


def shown(line: bytes, redact: Redact, most: int = 200) -> str:
    """Return a line of a log fit to be shown."""
    text = redact(line.decode("utf-8", "replace"))
    text = "".join(sign if sign.isprintable() else " " for sign in text).strip()
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _top(tops: Tops, number: int, redact: Redact) -> list[dict[str, Any]]:
    ranked = tops.top(number)
    shares = [{"value": shown(value, redact), "count": count} for value, count in ranked]
    rest = tops.total - sum(count for _value, count in ranked)
    return [*shares, {"value": OTHERS, "count": rest}] if rest else shares


def _iso(at: float | None) -> str | None:
    if at is None:
        return None
    return datetime.fromtimestamp(at, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
