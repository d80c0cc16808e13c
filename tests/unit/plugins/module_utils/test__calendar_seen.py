# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of the calendar ran, late or not at all."""

from __future__ import annotations

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._calendar_seen import Run, judged_since, seen, share, slots

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
    told = seen(ENTRY, runs, due=[0.0, DAY], until=2 * DAY, now=2 * DAY)
    assert told["told"][0] == (0.0, state)


def test_what_has_still_time_is_not_missed() -> None:
    assert seen(ENTRY, [], due=[0.0], until=DAY, now=600)["pending"] == 1


def test_counts_add_up_and_the_last_misses_are_named() -> None:
    runs = [run(day * DAY) for day in range(100) if day not in (10, 50)]
    told = seen(ENTRY, runs, due=[day * DAY for day in range(100)], until=100 * DAY, now=100 * DAY)
    assert (told["due"], told["ran"], told["missed"], told["missed_at"]) == (100, 98, 2, [10 * DAY, 50 * DAY])


def test_of_a_week_the_worst_day_is_shown() -> None:
    told = [(day * DAY, "missed" if day == 9 else "ran") for day in range(14)]
    assert slots(told, 0, 21 * DAY, 3) == ["ran", "missed", "none"]


HOURLY, MONTHLY = [hour * 3600.0 for hour in range(48)], [36000.0]


@pytest.mark.parametrize(
    ("began", "entry", "owner"),
    [
        pytest.param(36003, "monthly", "monthly", id="it was told whose it is"),
        pytest.param(36003, "hourly", "hourly", id="however many it could be"),
        pytest.param(36003, None, "hourly", id="by itself it is that of the one that is due more often"),
        pytest.param(DAY + 21600, None, "hourly", id="it makes up for no other entry's time of the day before"),
        pytest.param(36003, "another", None, id="it is of an entry that is no more"),
    ],
)
def test_a_run_belongs_to_one_entry_of_its_playbook(began: float, entry: str | None, owner: str | None) -> None:
    one = run(began)._replace(entry=entry)
    shared = share([one], {"hourly": HOURLY, "monthly": MONTHLY})
    assert [slug for slug, runs in shared.items() if runs] == ([owner] if owner else [])


def test_of_two_runs_of_one_time_each_entry_gets_one() -> None:
    shared = share([run(36003), run(36010)], {"hourly": HOURLY, "monthly": MONTHLY})
    assert [len(runs) for runs in shared.values()] == [1, 1]


def test_an_entry_is_judged_since_its_first_record_and_not_at_all_without_any_of_its_playbook() -> None:
    first = {("backup", None): 5.0, ("backup", "nightly"): 9.0}
    assert judged_since(first, "backup", "nightly") == 9.0
    assert judged_since(first, "backup", "weekly") == 5.0
    assert judged_since(first, "restore", "nightly") is None
