# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of the calendar ran, late or not at all."""

from __future__ import annotations

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._calendar_seen import Run, seen, slots

DAY = 86400.0
ENTRY = {"name": "nightly", "playbook": "backup", "cron": "0 2 * * *"}


def run(at: float, status: str = "ok", checks: str = "ok") -> Run:
    return Run(at, "backup", status, checks, 10.0, 0, "ada", "0a1b", None)


@pytest.mark.parametrize(
    ("runs", "state"),
    [
        pytest.param([], "missed", id="nothing ran"),
        pytest.param([run(3)], "ran", id="a timer is a little late"),
        pytest.param([run(-20)], "ran", id="clocks differ a little"),
        pytest.param([run(-4000)], "missed", id="a run of the evening before is not it"),
        pytest.param([run(7200)], "late", id="made up for after a downtime"),
        pytest.param([run(3, "failed")], "failed", id="it failed"),
        pytest.param([run(3, "interrupted")], "failed", id="it was killed"),
        pytest.param([run(3, "ok", "critical")], "warned", id="it ran and found something"),
        pytest.param([run(DAY + 2)], "missed", id="the next night's run is the next night's"),
    ],
)
def test_one_due_time_has_one_outcome(runs: list[Run], state: str) -> None:
    told = seen(ENTRY, {"backup": runs}, due=[0.0, DAY], until=2 * DAY, now=2 * DAY)
    assert told["told"][0] == (0.0, state)


def test_what_has_still_time_is_not_missed() -> None:
    assert seen(ENTRY, {}, due=[0.0], until=DAY, now=600)["pending"] == 1


def test_counts_add_up_and_the_last_misses_are_named() -> None:
    runs = [run(day * DAY) for day in range(100) if day not in (10, 50)]
    told = seen(ENTRY, {"backup": runs}, due=[day * DAY for day in range(100)], until=100 * DAY, now=100 * DAY)
    assert (told["due"], told["ran"], told["missed"], told["missed_at"]) == (100, 98, 2, [10 * DAY, 50 * DAY])


def test_of_a_week_the_worst_day_is_shown() -> None:
    told = [(day * DAY, "missed" if day == 9 else "ran") for day in range(14)]
    assert slots(told, 0, 21 * DAY, 3) == ["ran", "missed", "none"]
