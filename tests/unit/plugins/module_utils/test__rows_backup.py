# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which backup rows are taken from."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._backup_draft import Draft
from ansible_collections.runbook.ops.plugins.module_utils._backup_proof import check, write_proof
from ansible_collections.runbook.ops.plugins.module_utils._backup_set import Backup
from ansible_collections.runbook.ops.plugins.module_utils._rows_backup import choose
from ansible_collections.runbook.ops.plugins.module_utils._rows_catalog import RowsError


def backup(directory: Path, day: int, *, kind: str = "postgresql", proven: bool = True) -> Backup:
    at = datetime(2026, 2, day, 2, 0, tzinfo=timezone.utc)
    with Draft.begin(directory, "daily", at) as draft:
        with draft.create("dump") as file:
            file.write(b"rows")
        made = draft.seal({"kind": kind, "database": "shop", "content": {}})
    if proven:
        write_proof(made, {"checked_at": "2026-02-09T02:00:00Z", "files": check(made).files, "drill": {"passed": True}})
    return made


def options(place: Path, **wanted: Any) -> dict[str, Any]:
    unset = {"backup": "latest", "taken_before": None, "from_database": None, "accept_unproven": ""}
    return {**unset, "directory": str(place), "set": "daily", "database": "shop", **wanted}


def test_the_newest_proven_one_is_taken(tmp_path: Path) -> None:
    backup(tmp_path, 1)
    second = backup(tmp_path, 2)
    third = backup(tmp_path, 3, proven=False)
    assert choose(options(tmp_path)).name == second.name
    assert choose(options(tmp_path, taken_before="2026-02-02T00:00:00Z")).name == "daily_20260201T020000Z"
    assert choose(options(tmp_path, accept_unproven="it is all there is")).name == third.name
    assert choose(options(tmp_path, backup=third.name)).name == third.name
    assert choose(options(tmp_path, backup=str(third.path), directory=None)).name == third.name


def test_an_export_needs_no_proof_it_is_tried_when_it_is_staged(tmp_path: Path) -> None:
    made = backup(tmp_path, 1, kind="postgresql-rows", proven=False)
    assert choose(options(tmp_path)).name == made.name


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        pytest.param({"set": "weekly"}, "there is no whole backup weekly", id="there is none"),
        pytest.param({"taken_before": "2026-01-01T00:00:00Z"}, "from before 2026-01-01", id="none so early"),
        pytest.param({"taken_before": "yesterday"}, "give a moment such as", id="no moment"),
        pytest.param({"directory": None}, "set directory and set", id="nobody says where"),
        pytest.param(
            {"backup": "x", "directory": None}, "set directory to say where", id="nobody says where a name is"
        ),
        pytest.param({"database": "other"}, "set from_database to shop", id="of another database"),
        pytest.param({"backup": "daily_20260202T020000Z"}, "is missing: this is no whole backup", id="it is not there"),
    ],
)
def test_what_cannot_be_taken_is_refused(tmp_path: Path, wanted: dict[str, Any], words: str) -> None:
    backup(tmp_path, 1)
    with pytest.raises(RowsError, match=words):
        choose(options(tmp_path, **wanted))


def test_a_backup_of_something_else_is_refused(tmp_path: Path) -> None:
    backup(tmp_path, 1, kind="redis")
    with pytest.raises(RowsError, match="rows are in postgresql and postgresql-rows only"):
        choose(options(tmp_path, accept_unproven="x"))
