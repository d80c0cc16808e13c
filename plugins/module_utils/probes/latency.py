# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long a URL takes to answer: percentiles of a few requests, one after the other. Private to this collection."""

from __future__ import annotations

import time
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._checks import judge_high, make_check
from ansible_collections.runbook.ops.plugins.module_utils._probe_options import Option, limits
from ansible_collections.runbook.ops.plugins.module_utils._series import percentile
from ansible_collections.runbook.ops.plugins.module_utils.probes import http

SECTION = "Response times"
OPTIONS = {
    **http.OPTIONS,
    "requests": Option("int", "how many requests", 10),
    "pause_seconds": Option("float", "between two of them", 0.1),
    "p95_seconds": Option("limits", "time within which 95 % must be answered", limits(None)),
}


def measure(options: dict[str, Any]) -> dict[str, Any]:
    """Return the seconds of each right answer, and what was wrong with the others; it ends before its time is over."""
    end = time.monotonic() + options["timeout_seconds"] * 0.9
    seconds, wrong, longest = [], [], 0.0
    for index in range(options["requests"]):
        left = end - time.monotonic()
        if left < max(0.2, 2 * longest):
            break
        if index:
            time.sleep(min(options["pause_seconds"], left / 2))
        begun = time.monotonic()
        one = {**options, "timeout_seconds": max(0.1, end - begun)}
        found = http.measure(one)
        longest = max(longest, time.monotonic() - begun)
        if found["error"] or found["status"] not in options["status"] or found["wrong"]:
            wrong.append(http.judge(found, one)[0]["detail"])
        else:
            seconds.append(found["seconds"])
    return {"seconds": seconds, "wrong": wrong}


def judge(measured: dict[str, Any], options: dict[str, Any]) -> list[dict[str, Any]]:
    """Return one check: its value is the 95th percentile."""
    name, seconds, wrong = options["name"] or options["url"], measured["seconds"], measured["wrong"]
    more = {"name": f"{name} response time", "section": options["section"], "unit": "s"}
    remedy = "see the slow statements, the event loop and the processors of the same minute"
    if not seconds:
        detail = f"no right answer of {len(wrong)}: {wrong[-1]}" if wrong else "no request fits into its time"
        return [make_check(f"latency:{name}", status="unknown", detail=detail, remedy="see health_check first", **more)]
    value = round(percentile(seconds, 0.95), 4)
    status, limit = judge_high(value, **options["p95_seconds"])
    detail = f"95 % of {len(seconds)} requests within {1000 * value:.0f} ms, half within {1000 * percentile(seconds, 0.5):.0f} ms, measured now"
    if wrong:
        status = "warning" if status == "ok" else status
        detail += f"; {len(wrong)} wrong: {wrong[-1]}"
    return [
        make_check(f"latency:{name}", status=status, value=value, limit=limit, detail=detail, remedy=remedy, **more)
    ]
