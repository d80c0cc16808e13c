# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests and their times as an application counts them for Prometheus, at its own /metrics. Private to this collection.

The counters are since its start: with those of an earlier look they are the ones of a period, and percentiles come from the histogram.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._checks import judge_high, make_check
from ansible_collections.runbook.ops.plugins.module_utils._http_json import DOOR_OPTIONS, NoAnswerError, get
from ansible_collections.runbook.ops.plugins.module_utils._performance_looks import ago
from ansible_collections.runbook.ops.plugins.module_utils._probe_options import Option, ProbeError, limits

SECTION = "Response times"
OPTIONS = {
    "url": Option("str", "where the application tells its metrics", required=True),
    **DOOR_OPTIONS,
    "total": Option("str", "name of the counter of requests", "http_requests_total"),
    "duration": Option("str", "name of the histogram of their seconds", "http_request_duration_seconds"),
    "p95_ms": Option("limits", "time within which 95 % must be answered, in milliseconds", limits(None)),
    "failed_percent": Option("limits", "share of requests with a status of 500 and above", limits(None)),
    "before": Option("dict", "the counters of an earlier look"),
    "before_at": Option("float", "when that was, in seconds since 1970"),
}
SAMPLE = re.compile(r"^([A-Za-z_:][\w:]*)(?:\{(.*)\})? +([-+.\deE]+|\+?Inf|NaN)(?: +-?\d+)?$")
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
FEWEST = 20


def measure(options: dict[str, Any]) -> dict[str, Any]:
    """Return the counters, summed over all that an application tells apart."""
    try:
        status, body = get(options["url"], options, options["timeout_seconds"])
    except NoAnswerError as exc:
        raise ProbeError(f"{options['url']}: {exc}", "see the application that tells them") from exc
    if status != 200:
        raise ProbeError(f"{options['url']}: HTTP {status}, right is 200", "correct url, or token")
    counters = read_metrics(body.decode(errors="replace"), options["total"], options["duration"])
    if counters["requests"] is None:
        raise ProbeError(
            f"{options['url']} tells no {options['total']}: it may be another program's metrics",
            "correct url, or the name in total",
        )
    return {"counters": counters, "now": time.time()}


def read_metrics(text: str, total: str, duration: str) -> dict[str, Any]:
    """Return requests, those that failed, and the histogram: how many took at most so many seconds."""
    counts: dict[str, Any] = {"requests": None, "failed": 0.0, "within": {}, "started": None}
    for line in text.splitlines():
        met = SAMPLE.match(line)
        if not met or met[3] == "NaN":
            continue
        name, labels, value = met[1], dict(LABEL.findall(met[2] or "")), float(met[3])
        if name == total:
            counts["requests"] = (counts["requests"] or 0.0) + value
            status = next((labels[key] for key in ("status", "status_code", "code") if key in labels), "")
            counts["failed"] += value if status.startswith("5") else 0.0
        elif name == f"{duration}_bucket" and "le" in labels:
            counts["within"][labels["le"]] = counts["within"].get(labels["le"], 0.0) + value
        elif name == "process_start_time_seconds":
            counts["started"] = max(counts["started"] or 0.0, value)
    return counts


def quantile(within: Mapping[str, float], share: float) -> float | None:
    """Return the seconds within which that share was, as Prometheus reckons it; None where there is none."""
    bounds = sorted((float(key), count) for key, count in within.items())
    if not bounds or bounds[-1][1] <= 0:
        return None
    wanted, low, below = share * bounds[-1][1], 0.0, 0.0
    for high, count in bounds:
        if count >= wanted:
            if high == float("inf"):
                return low
            return low + (high - low) * ((wanted - below) / (count - below) if count > below else 1.0)
        low, below = high, count
    return low


def judge(measured: dict[str, Any], options: dict[str, Any]) -> list[dict[str, Any]]:
    """Return checks of the rate, of failed requests, and of the 95th percentile where there is a histogram."""
    name, now = options["name"] or options["url"], measured["counters"]
    before, same = options["before"] or {}, False
    if before and options["before_at"] is not None:
        same = before["requests"] <= now["requests"] and before["started"] == now["started"]
    since = f"in {ago(measured['now'] - options['before_at'])}" if same else "since the application's start"
    old = before if same else {}
    requests, failed = now["requests"] - old.get("requests", 0), now["failed"] - old.get("failed", 0)
    seconds = (
        measured["now"] - options["before_at"] if same else measured["now"] - now["started"] if now["started"] else None
    )
    within = {key: count - (old.get("within") or {}).get(key, 0) for key, count in now["within"].items()}

    def check(thing: str, title: str, **more: Any) -> dict[str, Any]:
        return make_check(f"metrics:{name}:{thing}", name=f"{name} {title}", section=options["section"], **more)

    percent = round(100 * failed / requests, 3) if requests else 0.0
    status, limit = judge_high(percent, **options["failed_percent"])
    checks = [
        check(
            "rate",
            "requests",
            status="ok",
            value=round(60 * requests / seconds, 2) if seconds else None,
            unit="/min",
            detail=f"{requests:.0f} requests {since}",
        ),
        check(
            "failed",
            "failed requests",
            status=status if requests >= FEWEST else "ok",
            value=percent,
            unit="%",
            limit=limit,
            detail=f"{failed:.0f} of {requests:.0f} {since}",
            remedy="read the application's log of the same time",
        ),
    ]
    return [*checks, *_percentiles(within, options, since, check)]


def _percentiles(
    within: Mapping[str, float], options: dict[str, Any], since: str, check: Any
) -> Sequence[dict[str, Any]]:
    told = [quantile(within, share) for share in (0.5, 0.95, 0.99)]
    if not within or None in told:
        return []
    half, slow, slowest = (round(1000 * value, 1) for value in told if value is not None)
    status, limit = judge_high(slow, **options["p95_ms"])
    return [
        check(
            "p95",
            "response time",
            status=status,
            value=slow,
            unit="ms",
            limit=limit,
            detail=f"95 % within {slow:g} ms, half within {half:g} ms, 99 % within {slowest:g} ms {since}, between the bounds of its histogram",
            remedy="see the slow statements and the event loop of the same time",
        )
    ]
