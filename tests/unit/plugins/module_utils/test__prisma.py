# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which migrations may be marked as rolled back."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._prisma import PrismaError, cannot_take_back, plan, summarise

AT = "2026-02-01T12:00:00Z"


def row(name: str, *, finished: str | None = None, rolled_back: str | None = None, steps: int = 0) -> dict[str, Any]:
    return {"name": name, "started_at": AT, "finished_at": finished, "rolled_back_at": rolled_back, "steps": steps}


TRIED = [row("1_init", finished=AT, steps=1), row("2_tags"), row("3_old", rolled_back=AT), row("3_old", finished=AT)]


def told(*, running: bool = False) -> dict[str, Any]:
    return {"migrations": summarise(TRIED), "running": running}


def test_of_several_tries_of_a_migration_the_last_one_counts() -> None:
    states = {one["name"]: one["state"] for one in summarise([*TRIED, row("2_tags", rolled_back=AT)])}
    assert states == {"1_init": "applied", "3_old": "applied", "2_tags": "rolled_back"}


def test_only_a_failed_migration_is_marked_and_only_once() -> None:
    found = plan(told(), "2_tags")
    assert found is not None
    assert found["name"] == "2_tags"
    assert plan({"migrations": summarise([row("2_tags", rolled_back=AT)]), "running": False}, "2_tags") is None


@pytest.mark.parametrize(
    ("name", "running", "said"),
    [
        ("1_init", False, "has succeeded"),
        ("9", False, "failed are: 2_tags"),
        ("2_tags", True, "is running in this database"),
    ],
)
def test_what_must_not_be_marked_is_refused(name: str, running: bool, said: str) -> None:
    with pytest.raises(PrismaError, match=said):
        plan(told(running=running), name)


def test_what_stays_in_the_database_is_said() -> None:
    assert cannot_take_back(row("2", steps=2)).startswith(
        "2 of its steps were carried out and stay: the mark undoes nothing"
    )
