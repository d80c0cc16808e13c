# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is new, fixed and unchanged: fifteen are planted, fifteen are named, and nothing else is."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._findings import GROUPS, Seen, compare

DAYS = 30


def look(
    day: float,
    statuses: dict[str, str],
    *,
    playbook: str = "health_check",
    section: str = "Host",
    status: str = "ok",
) -> dict[str, Any]:
    checks = [
        {"host": "one", "id": name, "name": name, "section": section, "status": status, "detail": f"{name} is {status}"}
        for name, status in statuses.items()
    ]
    return {"began": day * 86400.0, "playbook": playbook, "status": status, "checks": checks}


def found(before: list[dict[str, Any]], now: list[dict[str, Any]]) -> dict[str, list[str]]:
    periods = []
    for records in (before, now):
        periods.append(Seen())
        for record in records:
            periods[-1].add(record)
    return {
        group: sorted(one["id"] for one in items) for group, items in compare(periods[1], periods[0]).items() if items
    }


def test_fifteen_planted_changes_are_named_and_no_other() -> None:
    names = [f"check:{number}" for number in range(150)]

    def morning(day: int) -> dict[str, Any]:
        now = day >= DAYS
        bad = {
            **{f"check:{n}": "warning" for n in (0, 1, 2) if day >= DAYS + 20},  # new
            **{f"check:{n}": "critical" for n in (3, 4) if day >= DAYS},  # new, at once
            **{f"check:{n}": "critical" for n in (10, 11, 12, 13) if day < DAYS + 5},  # fixed
            **{f"check:{n}": "warning" for n in (20, 21, 22)},  # unchanged
            **{f"check:{n}": "warning" if day < DAYS else "critical" for n in (23,)},  # unchanged, and worse
            **{f"check:{n}": "critical" for n in (30, 31) if DAYS + 8 <= day < DAYS + 10},  # came and went
        }
        passed = {"check:40"} if not now and 3 < day < 6 else set()  # came and went in the period before: not told
        return look(day, {name: bad.get(name, "unknown" if name in passed else "ok") for name in names})

    told = found([morning(day) for day in range(DAYS)], [morning(day) for day in range(DAYS, 2 * DAYS)])
    assert told == {
        "new": [f"check:{n}" for n in (0, 1, 2, 3, 4)],
        "fixed": [f"check:{n}" for n in (10, 11, 12, 13)],
        "unchanged": [f"check:{n}" for n in (20, 21, 22, 23)],
        "passing": [f"check:{n}" for n in (30, 31)],
    }
    assert sum(map(len, told.values())) == 15


BAD = {"x": "critical"}
ROWS = {"postgresql:connections": "ok", "postgresql:dead_rows": "critical"}
HANGS = {"postgresql": "unknown", "disk:/": "ok"}
CASES = [
    pytest.param(
        [look(1, ROWS)],
        [look(31, HANGS)],
        {"new": ["postgresql"], "unseen": ["postgresql:dead_rows"]},
        id="nobody could look: not fixed",
    ),
    pytest.param(
        [],
        [look(31, ROWS), look(32, HANGS)],
        {"new": ["postgresql", "postgresql:dead_rows"]},
        id="nobody could look after it: not over",
    ),
    pytest.param(
        [look(1, ROWS)],
        [look(31, HANGS), look(32, {"disk:/": "ok"})],
        {"fixed": ["postgresql:dead_rows"], "passing": ["postgresql"]},
        id="one clear look is enough",
    ),
    *(
        pytest.param(
            [look(1, BAD)],
            [look(31, {"y": "ok"}, status=status)],
            {"unseen": ["x"]},
            id=f"a run that is {status} may not have come to it",
        )
        for status in ("failed", "interrupted", "running")
    ),
    pytest.param([look(1, BAD)], [], {"unseen": ["x"]}, id="nobody looked again: neither fixed nor unchanged"),
    pytest.param(
        [look(1, BAD)], [look(31, {"y": "ok"})], {"fixed": ["x"]}, id="the same look finds nothing of it any more"
    ),
    pytest.param(
        [look(1, BAD)],
        [look(31, {"y": "ok"}, section="Logs")],
        {"unseen": ["x"]},
        id="a look at something else says nothing about it",
    ),
    pytest.param(
        [look(1, BAD)],
        [look(31, {"y": "ok"}, playbook="backup")],
        {"unseen": ["x"]},
        id="another playbook says nothing about it",
    ),
    pytest.param(
        [], [look(31, BAD), look(32, {"y": "ok"})], {"passing": ["x"]}, id="what a later look does not find is over"
    ),
    pytest.param([look(1, {"x": "ok"})], [look(31, {"x": "unknown"})], {"new": ["x"]}, id="not knowing is a finding"),
    pytest.param([], [look(31, {"record:0a1b": "warning"})], {}, id="an interrupted run is told among the runs"),
    pytest.param([look(1, {"x": "ok"})], [], {}, id="what was good and was not looked at is nothing"),
]


@pytest.mark.parametrize(("before", "now", "told"), CASES)
def test_a_finding_belongs_to_one_group(before: Any, now: Any, told: dict[str, list[str]]) -> None:
    assert found(before, now) == told


def test_groups_are_complete_and_the_worst_stands_first() -> None:
    seen = Seen()
    seen.add(look(31, {"a": "unknown", "b": "warning", "c": "critical"}))
    groups = compare(seen, Seen())
    assert tuple(groups) == GROUPS
    assert [one["id"] for one in groups["new"]] == ["c", "b", "a"]


def test_of_what_is_over_it_tells_what_was_wrong() -> None:
    before, now = Seen(), Seen()
    before.add(look(1, {"fixed": "critical", "passing": "ok"}))
    for day, passing in ((31, "ok"), (32, "warning"), (33, "ok")):
        now.add(look(day, {"fixed": "ok", "passing": passing}))
    groups = compare(now, before)
    assert [one["detail"] for group in ("fixed", "passing") for one in groups[group]] == [
        "fixed is critical",
        "passing is warning",
    ]


def test_what_the_report_tells_itself_of_the_whole_period_is_no_finding() -> None:
    told = dict.fromkeys(("kpi:uptime", "calendar:nightly", "records:damaged", "checklist:access"), "unknown")
    assert found([], [look(31, told, playbook="kpis")]) == {"new": ["checklist:access"]}
