# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What becomes of writers that a killed run has left stopped and that do not start."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._pg_restore import Options, Restore, Seen
from ansible_collections.runbook.ops.plugins.module_utils._pg_restore_entry import Source, begin
from ansible_collections.runbook.ops.plugins.module_utils._pg_restore_plan import RestoreError, Step

SOURCE = Source("set", "shop_1", "/b/shop_1", "a", 1, "2026-02-05T03:00:00Z", "shop", {}, {}, True)
API = {"name": "api", "manager": "systemd"}
STEPS = [Step("start", "api", "", "stopped by a run that was killed"), Step("drop", "shop_restored_1", "2", "anew")]


class Target:
    """A server that does what it is told."""

    def json(self, _database: str, _sql: str) -> Any:
        return {"system_identifier": "7", "names": {"1": "shop"}}

    def sql(self, _database: str, _sql: str, **_options: Any) -> list[str]:
        return []


class Writers:
    def __init__(self, wrong: list[str]) -> None:
        self.wrong = wrong

    def start_all(self, _writers: Any) -> list[str]:
        return self.wrong


def apply(tmp_path: Path, state: str, wrong: list[str]) -> Restore:
    options = Options("shop", state, tmp_path)
    restore = Restore(Target(), options, writers=Writers(wrong))  # type: ignore[arg-type]
    begun = begin(None, SOURCE, database="shop", stamp="1", live={"oid": "1"}, mark="m")
    restored = {**begun["restored"], "oid": "2"}
    entry = {**begun, "stage": "prepared", "restored": restored, "writers": [API]}
    restore.apply(STEPS, Seen(restore.server, {"oid": "1"}, entry, [API]), None)
    return restore


def test_a_writer_that_needs_the_damaged_database_does_not_keep_it_from_being_restored(tmp_path: Path) -> None:
    restore = apply(tmp_path, "prepared", ["api does not start"])
    assert restore.troubles == ["a run that was killed had stopped the writers: api does not start"]
    written = restore.journal.read()
    assert written is not None
    assert written["writers"] == [API], "whoever exchanges the names starts it"
    assert written["stage"] == "none", "the step after it was done"


def test_in_any_other_state_it_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RestoreError, match="api does not start"):
        apply(tmp_path, "reverted", ["api does not start"])


def test_once_it_runs_the_journal_forgets_it(tmp_path: Path) -> None:
    restore = apply(tmp_path, "prepared", [])
    written = restore.journal.read()
    assert written is not None
    assert (written["writers"], restore.troubles) == (None, [])


def test_a_database_is_dropped_however_long_the_checkpoint_takes(tmp_path: Path) -> None:
    restore, waited = apply(tmp_path, "prepared", []), []
    restore.target.sql = lambda _database, sql, **options: waited.append((sql, options)) or []  # type: ignore[method-assign, assignment, func-returns-value]
    restore.apply(STEPS[1:], Seen(restore.server, None, restore.journal.read(), []), None)
    assert [options for sql, options in waited if "DROP DATABASE" in sql] == [{"timeout_seconds": 1800}]
