# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The log patterns of the inventories count what the runbooks' grep would print, planted line by planted line."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._log_scan_plan import plan_log_scans
from ansible_collections.runbook.ops.plugins.modules.log_scan import run

from ._inventories import describe

NOW = datetime(2026, 11, 20, 12, tzinfo=timezone.utc)
# The runbooks' own greps, and lines that they print or must not; by the check that counts them.
NEWSLETTER: dict[str, tuple[str, tuple[str, ...]]] = {
    "errors": (
        "(ERROR|FATAL|Exception)",
        (
            "ERROR cannot reach the queue",
            "FATAL out of memory",
            "TypeException: x is not a function",
            "level=ERROR code=7",
        ),
    ),
    "slowness": (
        "(timeout|slow|latency)",
        ("INFO request timeout after 30s", "WARN slow query 4.2s", "INFO latency 950ms"),
    ),
    "signs of attack": (
        "(failed login|rate limit|suspicious)",
        ("WARN failed login for 203.0.113.9", "WARN rate limit reached", "WARN suspicious user agent"),
    ),
    "delivery trouble": (
        "(bounce|complaint|delivery failed)",
        ("INFO bounce from mx.example.com", "INFO complaint by a reader", "WARN delivery failed for 17"),
    ),
}
OWLIVION = {
    "refused requests": (
        "(?i)unauthorized|forbidden",  # grep -i
        ("GET /api/v1/sync 401 Unauthorized", "403 Forbidden: device 7", "token unauthorized", "FORBIDDEN"),
    )
}
QUIET = ("INFO mail 17 sent", "INFO campaign 3 created", "INFO login of a user", "GET /api/v1/health 200 OK")


def plant(path: Path, lines: list[str]) -> None:
    """Write ``lines`` of the last day, and one of each a month ago, which no longer counts."""
    old = NOW - timedelta(days=30)
    stamped = [f"{old:%Y-%m-%dT%H:%M:%SZ} {line}" for line in lines]
    stamped += [f"{NOW - timedelta(minutes=len(lines) - n):%Y-%m-%dT%H:%M:%SZ} {line}" for n, line in enumerate(lines)]
    path.write_text("".join(f"{line}\n" for line in stamped), encoding="utf-8")


def counted(system: str, log: str, path: Path) -> dict[str, Any]:
    """Return what the scan of a log of an inventory counts in a file of ours, by pattern."""
    (scan,) = [one for one in plan_log_scans(describe(system).system) if one["name"] == log]
    moved = {key: value for key, value in scan.items() if key not in ("pm2", "also", "user", "project", "service")}
    options = {"logs": [{**moved, "path": str(path)}], "since_seconds": 86400.0, "state_path": None}
    result = run(
        {**options, "secrets": [], "workers": 1, "timeout_seconds": 60.0}, now=NOW.timestamp(), check_mode=False
    )
    return {check["id"].rpartition(":")[2]: check["value"] for check in result["checks"]}


@pytest.mark.parametrize(
    ("system", "log", "patterns"),
    [
        pytest.param("newsletter", "application", NEWSLETTER, id="newsletter, the file"),
        pytest.param("newsletter", "application container", NEWSLETTER, id="newsletter, the application's container"),
        pytest.param("newsletter", "worker container", NEWSLETTER, id="newsletter, the worker's container"),
        pytest.param("owlivion", "application", OWLIVION, id="owlivion, refused requests"),
    ],
)
def test_each_pattern_counts_the_planted_lines_of_the_period_and_no_other(
    system: str, log: str, patterns: dict[str, tuple[str, tuple[str, ...]]], tmp_path: Path
) -> None:
    # Of each pattern another number, so that no two can be mixed up.
    lines = list(QUIET)
    for copies, (_grep, planted) in enumerate(patterns.values(), 1):
        lines += [line for line in planted for _ in range(copies)]
    plant(tmp_path / "app.log", lines)
    found = counted(system, log, tmp_path / "app.log")
    for name, (grep, _planted) in patterns.items():
        assert found[name] == sum(bool(re.search(grep, line)) for line in lines), (name, found)


def test_a_pattern_that_met_nothing_says_so(tmp_path: Path) -> None:
    plant(tmp_path / "app.log", list(QUIET))
    found = counted("newsletter", "application", tmp_path / "app.log")
    assert [found[name] for name in NEWSLETTER] == [0, 0, 0, 0]


def test_the_hit_rate_of_the_newsletters_cache_comes_from_what_its_application_says(tmp_path: Path) -> None:
    lines = [
        *QUIET,
        *["DEBUG cache hit cache:page:1"] * 30,
        *["DEBUG cache miss cache:page:2"] * 10,
        "Cache hits are good",
    ]
    plant(tmp_path / "app.log", lines)
    assert counted("newsletter", "application", tmp_path / "app.log")["cache_hits"] == 75.0
