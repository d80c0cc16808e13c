# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""prisma_migration: what is run, and what is asked before and after."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._prisma import PrismaError
from ansible_collections.runbook.ops.plugins.modules import prisma_migration

AT = "2026-02-01T12:00:00Z"
PARAMS = {
    "name": "2_tags",
    "database": "shop",
    "schema": "public",
    "command": ["npx", "prisma"],
    "schema_file": "prisma/schema.prisma",
}
MARK = ("migrate", "resolve", "--rolled-back", "2_tags")


class FakeDatabase:
    """The table as Prisma leaves it; ``elsewhere`` is a Prisma that works on another database."""

    def __init__(self, *, elsewhere: bool = False) -> None:
        self.rolled_back: str | None = None
        self.elsewhere = elsewhere
        self.calls: list[tuple[str, ...]] = []

    def json(self, _database: str, _sql: str) -> dict[str, Any]:
        row = {"name": "2_tags", "started_at": AT, "finished_at": None, "rolled_back_at": self.rolled_back, "steps": 1}
        return {"running": False, "migrations": [row]}

    def __call__(self, *arguments: str) -> str:
        self.calls.append(arguments)
        if arguments == MARK and not self.elsewhere:
            self.rolled_back = AT
        return {"version": "prisma : 6.1.0", "migrate": 'ALTER TABLE "t" DROP COLUMN "note";'}[arguments[0]]


def run(fake: FakeDatabase, *, check_mode: bool = False) -> dict[str, Any]:
    return prisma_migration.run(fake, fake, PARAMS, check_mode=check_mode)  # type: ignore[arg-type]


def test_the_prediction_is_what_is_done_and_the_second_run_does_nothing() -> None:
    fake = FakeDatabase()
    predicted = run(fake, check_mode=True)
    assert MARK not in fake.calls
    done = run(fake)
    assert fake.calls.count(MARK) == 1
    assert {**done, "migration": None} == {**predicted, "migration": None}
    assert [one["status"] for one in done["checks"]] == ["warning", "warning"]
    assert done["checks"][1]["detail"] == 'it is other than the release expects: ALTER TABLE "t" DROP COLUMN "note"'
    assert done["actions"] == ["npx prisma migrate resolve --rolled-back 2_tags"]
    before = len(fake.calls)
    assert not run(fake)["changed"]
    assert len(fake.calls) == before


def test_a_prisma_that_works_on_another_database_is_found_out() -> None:
    with pytest.raises(PrismaError, match="it works on another database"):
        run(FakeDatabase(elsewhere=True))
