# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The tables and the verdict at the end of a run."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._checks import make_change, make_check
from ansible_collections.runbook.ops.plugins.plugin_utils._console import columns, plain
from ansible_collections.runbook.ops.plugins.plugin_utils._console_report import (
    Report,
    change_lines,
    check_lines,
    find,
    movement,
    tally,
    verdict,
    verdict_parts,
)


def check(identity: str, status: str = "ok", **more: Any) -> dict[str, Any]:
    return make_check(identity, name=identity, section="Host", status=status, **more)


DISK = check(
    "disk", "warning", value=86.2, unit="percent", limit=80, detail="34 GB of 40 GB", remedy="Free some space."
)
CHANGE = make_change(
    "users", action="vacuumed", section="DB", reason="31 % dead rows", before=3e8, after=1e8, unit="bytes", seconds=4.2
)


@pytest.mark.parametrize(
    "result",
    [
        pytest.param({"checks": [DISK], "changes": [CHANGE]}, id="a module's result"),
        pytest.param({"results": [{"checks": [DISK]}, {"changes": [CHANGE]}, "squashed"]}, id="the items of a loop"),
        pytest.param({"ansible_facts": {"__report": {"checks": [DISK], "changes": [CHANGE]}, "x": 1}}, id="a fact"),
        pytest.param(
            {"results": [{"ansible_facts": {"a": {"checks": [DISK], "changes": [CHANGE]}}}]}, id="facts in a loop"
        ),
    ],
)
def test_checks_and_changes_are_found_in(result: dict[str, Any]) -> None:
    assert find(result) == ([DISK], [CHANGE])


@pytest.mark.parametrize(
    "other", [{"checks": True}, {"changes": ["a file"]}, {"checks": [{"name": "x"}]}, {"results": "all"}, {}]
)
def test_what_others_mean_by_these_names_is_left_alone(other: dict[str, Any]) -> None:
    assert find(other) == ([], [])


def test_a_status_that_we_do_not_know_is_unknown() -> None:
    assert find({"checks": [{**DISK, "status": "fine?"}]})[0][0]["status"] == "unknown"


def test_the_later_check_of_an_id_wins_and_a_change_is_told_once() -> None:
    report = Report()
    report.add([DISK], [CHANGE])
    report.add([check("disk")], [dict(CHANGE)])
    assert [one["status"] for one in report.checks.values()] == ["ok"]
    assert report.changes == [CHANGE]


def test_a_consequence_stands_after_what_it_follows_from_and_names_it():
    site, database = ({**check(name), "status": "critical", "remedy": "repair it"} for name in ("site", "database"))
    site["because"] = database["id"]
    lines = [plain(line) for line in check_lines([site, database], 100, folds=False)]
    assert [line.strip() for line in lines if "→" in line] == ["→ repair it", "→ follows from database"]


def test_what_is_not_ok_comes_first_with_its_remedy() -> None:
    checks = [check("memory", value=41, unit="percent", limit=90), DISK, check("cert", "critical", detail="expired")]
    assert [plain(line) for line in check_lines(checks, 100, folds=False)] == [
        "    ✗ critical  cert            expired",
        "    ! warning   disk    86.2 %  limit 80 % · 34 GB of 40 GB",
        "                → Free some space.",
        "    ✓ ok        memory  41 %    limit 90 %",
    ]


def test_on_many_hosts_the_checks_that_are_ok_are_counted() -> None:
    lines = [plain(line) for line in check_lines([check("a"), check("b"), DISK], 100, folds=False, only_bad=True)]
    assert lines[-1] == "    ✓ 2 checks ok"
    assert len(lines) == 3


@pytest.mark.parametrize("width", [40, 60, 80, 118])
def test_a_table_keeps_within_the_terminal(width: int) -> None:
    long = check("cert", "critical", value=4, unit="days", limit=7, detail="word " * 40, remedy="act " * 40)
    lines = [*check_lines([long, DISK], width, folds=True), *change_lines([CHANGE], width, folds=True)]
    assert max(columns(plain(line)) for line in lines) <= width


def test_a_change_says_what_from_where_to_where_how_long_and_why() -> None:
    restart = make_change("api", action="restarted", section="Services", reason="node was upgraded")
    assert [plain(line) for line in change_lines([CHANGE, restart], 100, folds=False)] == [
        "    ● users  vacuumed   300 MB → 100 MB  4.2 s  31 % dead rows",
        "    ● api    restarted                          node was upgraded",
    ]


@pytest.mark.parametrize(
    ("before", "after", "unit", "shown"),
    [
        (None, None, "bytes", ""),
        (42, 1.2, "percent", "42 → 1.2 %"),
        (2_000_000, 3_000, "bytes", "2 MB → 3 kB"),
        (None, 3, "files", "none → 3 files"),
        (3, None, "files", "3 files"),
        ("1.0", "1.1", None, "1.0 → 1.1"),
    ],
)
def test_a_unit_is_written_once(before: Any, after: Any, unit: str | None, shown: str) -> None:
    assert movement(before, after, unit) == shown


@pytest.mark.parametrize(
    ("stats", "checks", "word"),
    [
        ({"ok": 3}, [], "ok"),
        ({"ok": 3}, [DISK, check("memory")], "warning"),
        ({"ok": 3, "rescued": 1}, [], "ok"),
        ({"ok": 3, "failures": 1}, [DISK], "failed"),
        ({"failures": 1, "unreachable": 1}, [], "unreachable"),
    ],
)
def test_the_verdict_is_the_worst_that_happened(stats: dict[str, int], checks: list[dict[str, Any]], word: str) -> None:
    report = Report()
    report.add(checks, [])
    assert verdict(report, stats)[0] == word


def test_the_verdict_has_its_figures() -> None:
    report = Report()
    report.add([DISK, check("memory")], [CHANGE])
    stats = {"ok": 41, "failures": 1, "skipped": 2}
    assert verdict_parts(report, stats, 31.2, check_mode=True) == [
        "31.2 s",
        "checks: 1 warning, 1 ok",
        "1 predicted change",
        "42 steps (1 failed, 2 skipped)",
    ]


def test_statuses_are_counted_from_the_worst() -> None:
    assert tally([check("a"), DISK, check("b"), check("c", "critical")]) == "1 critical, 1 warning, 2 ok"
