# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The share of a web server's answers that failed: a rate, not a count of lines. Private to this collection."""

from __future__ import annotations

# ruff: noqa: PTH116, PTH123  # pathlib would be an import more, and this runs every few minutes
import os
import re
import time
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._checks import judge_high, make_check
from ansible_collections.runbook.ops.plugins.module_utils._log_files import find_start, matching_lines, with_rotated
from ansible_collections.runbook.ops.plugins.module_utils._log_times import line_time
from ansible_collections.runbook.ops.plugins.module_utils._probe_options import Option, ProbeError, limits
from ansible_collections.runbook.ops.plugins.module_utils._units import human_duration, human_size

SECTION = "Logs"
OPTIONS = {
    "path": Option(
        "str",
        "access log in nginx' format combined; the one it was before its last rotation (.1) belongs to it",
        "/var/log/nginx/access.log",
    ),
    "since_seconds": Option("float", "how far back", 3600.0),
    "percent": Option("limits", "requests that failed, in percent of all", limits(1)),
    "least_requests": Option("int", "of fewer requests the rate is told and not judged", 20),
    "failed": Option(
        "str", "regular expression of statuses that count as failed; 4xx is what clients did wrong", "5.."
    ),
    "skip": Option("str", "regular expression of paths that do not count, such as those that monitors ask"),
    "most_bytes": Option("int", "how much of each file is read at most, from its end", 256 << 20),
}
ANSWER = rb'"(?:[A-Z]+ )?(?P<path>[^ "]*)[^"\n]*" (?P<status>[1-5]\d\d) (?:\d+|-)'
PATHS_SHOWN = 2


def measure(options: dict[str, Any]) -> dict[str, Any]:
    """Return how many requests there were, how many failed, with which status and where, and how far back that goes."""
    paths = with_rotated(options["path"])
    if not paths:
        raise ProbeError(f"{options['path']} does not exist", "correct path, or have the web server write it")
    try:
        failed = re.compile(options["failed"].encode())
        skip = re.compile(options["skip"].encode()) if options["skip"] else None
    except re.error as exc:
        raise ProbeError(f"failed or skip is not a regular expression: {exc}", "correct it") from exc
    answer = re.compile(ANSWER)
    now = time.time()
    since = now - options["since_seconds"]
    requests, cut = 0, False
    statuses: dict[str, int] = {}
    places: dict[str, int] = {}
    for path in paths:
        if os.stat(path).st_mtime < since:
            continue
        with open(path, "rb") as file:
            end = file.seek(0, os.SEEK_END)
            start = find_start(file, end, since, now)
            if start is None:
                if end:
                    raise ProbeError(f"the lines of {path} carry no time", "give path a log in the format combined")
                continue
            if end - start > options["most_bytes"]:
                cut, start = True, end - options["most_bytes"]
            for line in matching_lines(file, start, end, answer):
                found = answer.search(line)
                if not found or (skip and skip.search(found["path"])):
                    continue
                requests += 1
                if failed.fullmatch(found["status"]):
                    status, place = (
                        found["status"].decode(),
                        found["path"].partition(b"?")[0][:60].decode("utf-8", "replace"),
                    )
                    statuses[status] = statuses.get(status, 0) + 1
                    places[place] = places.get(place, 0) + 1
    return {
        "requests": requests,
        "statuses": statuses,
        "places": places,
        "cut": cut,
        "begins_at": _begins(paths[0], now),
        "since": since,
    }


def _begins(path: str, now: float) -> float | None:
    """Return when the oldest file begins: what was rotated away before is not counted."""
    with open(path, "rb") as file:
        return line_time(file.readline(8192), now)


def judge(measured: dict[str, Any], options: dict[str, Any]) -> list[dict[str, Any]]:
    """Return one check of the rate."""
    requests, failed = measured["requests"], sum(measured["statuses"].values())
    percent = round(100 * failed / requests, 2) if requests else 0.0
    status, limit = judge_high(percent, **options["percent"])
    period = human_duration(options["since_seconds"])
    detail = f"{failed} of {requests} requests failed in the last {period}"
    if requests < options["least_requests"]:
        status = "ok"
        detail += f"; fewer than {options['least_requests']} say little" if requests else ""
    if failed:
        most = sorted(measured["places"].items(), key=lambda item: -item[1])[:PATHS_SHOWN]
        counts = ", ".join(f"{count} times {code}" for code, count in sorted(measured["statuses"].items()))
        detail += f": {counts}, most at {', '.join(f'{place} ({count})' for place, count in most)}"
    begins = measured["begins_at"]
    if measured["cut"]:
        detail += f"; only the last {human_size(options['most_bytes'])} were read"
    elif begins and begins > measured["since"] + 60 and requests:
        detail += f"; the log begins {human_duration(max(0, round(measured['since'] + options['since_seconds'] - begins)))} ago"
    name = options["name"] or "Error rate"
    return [
        make_check(
            f"error_rate:{options['name'] or options['path']}",
            name=name,
            section=options["section"],
            status=status,
            value=percent,
            unit="%",
            limit=limit,
            detail=detail,
            remedy="read the server's error log and the application's for the same minutes",
        )
    ]
