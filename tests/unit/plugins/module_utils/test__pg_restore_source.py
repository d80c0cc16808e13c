# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which backup a restore takes."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._backup_draft import Draft
from ansible_collections.runbook.ops.plugins.module_utils._backup_proof import check, write_proof
from ansible_collections.runbook.ops.plugins.module_utils._pg_restore_plan import RestoreError, Source
from ansible_collections.runbook.ops.plugins.module_utils._pg_restore_source import choose

FIRST = datetime(2026, 2, 1, 2, 0, tzinfo=timezone.utc)


@pytest.fixture
def backups(tmp_path: Path) -> list[str]:
    """Three nights of backups: only that of the second has been restored in a test."""
    names = []
    for night in range(3):
        with Draft.begin(tmp_path, "daily", FIRST + timedelta(days=night)) as draft:
            with draft.create("dump.custom") as file:
                file.write(b"PGDMP")
            backup = draft.seal({"kind": "postgresql", "database": "shop", "content": {"dump": "dump.custom"}})
        drill = {"passed": night == 1, "at": "2026-02-03T03:00:00Z"}
        write_proof(backup, {"checked_at": "2026-02-03T03:00:00Z", "files": check(backup).files, "drill": drill})
        names.append(backup.name)
    return names


def take(tmp_path: Path, backup: str, *, entry: dict[str, Any] | None = None, **options: Any) -> Source:
    params = {
        "backup": backup,
        "directory": str(tmp_path),
        "set": "daily",
        "taken_before": None,
        "accept_unproven": "",
        **options,
    }
    return choose(params, entry)


def test_the_latest_is_the_newest_that_has_been_restored_in_a_test(tmp_path: Path, backups: list[str]) -> None:
    found = take(tmp_path, "latest")
    assert found.title == backups[1]
    assert found.drill
    assert found.undamaged


def test_with_a_reason_the_latest_is_the_newest_at_all(tmp_path: Path, backups: list[str]) -> None:
    assert take(tmp_path, "latest", accept_unproven="nothing else is left").title == backups[2]


def test_the_latest_before_a_moment_is_not_the_one_of_that_moment(tmp_path: Path, backups: list[str]) -> None:
    given = {"accept_unproven": "a test", "taken_before": "2026-02-03T02:00:00Z"}
    assert take(tmp_path, "latest", **given).title == backups[1]
    with pytest.raises(RestoreError, match="made before 2026-02-01T02:00:00Z"):
        take(tmp_path, "latest", taken_before="2026-02-01T02:00:00Z")


def test_a_restore_that_was_begun_goes_on_with_its_backup(tmp_path: Path, backups: list[str]) -> None:
    begun = {"open": True, "stage": "swapped", "source": {"path": str(tmp_path / backups[0])}}
    assert take(tmp_path, "latest", entry=begun).title == backups[0]
    assert take(tmp_path, backups[2], entry=begun).title == backups[2]
    assert take(tmp_path, "latest", entry={**begun, "open": False}).title == backups[1]


@pytest.mark.parametrize(
    ("backup", "options", "said"),
    [
        ("latest", {"set": None}, "set directory and set"),
        ("latest", {"set": "weekly"}, "there is no whole backup weekly"),
        ("daily_1", {"directory": None}, "set directory"),
        ("daily_20250101T000000Z", {}, "cannot read the backup"),
    ],
)
def test_what_is_not_there_is_said(tmp_path: Path, backups: list[str], backup: str, options: Any, said: str) -> None:
    assert backups
    with pytest.raises(RestoreError, match=said):
        take(tmp_path, backup, **options)
