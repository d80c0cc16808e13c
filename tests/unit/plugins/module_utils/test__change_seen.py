# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What there is to see of changes on a host."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._change_seen import journal_check, journals

HELD = {"owner": "run-1"}
FREE = {"owner": None}


@pytest.mark.parametrize(
    ("entry", "state", "status", "words"),
    [
        pytest.param({"phase": "switching", "run": "run-1"}, HELD, "ok", "is at work", id="at work"),
        pytest.param({"phase": "switching", "run": "run-1"}, FREE, "warning", "has not ended", id="cut off"),
        pytest.param(
            {"phase": "gated", "run": "run-1", "parked": True}, FREE, "ok", "waits to be promoted", id="staged"
        ),
        pytest.param({"phase": "gated", "run": "run-1", "parked": False}, FREE, "warning", "has not ended", id="gated"),
    ],
)
def test_a_deploy_that_has_not_ended_is_told_by_what_it_waits_for(
    tmp_path: Path, entry: dict[str, Any], state: dict[str, Any], status: str, words: str
) -> None:
    place = tmp_path / "deploy" / "api"
    place.mkdir(parents=True)
    (place / "journal.json").write_text(json.dumps(entry))
    (found,) = journals(str(tmp_path / "change"))
    assert (found["kind"], found["name"]) == ("deploy", "api")
    check = journal_check(found, state)
    assert check["status"] == status
    assert words in check["detail"]


def test_a_journal_that_cannot_be_read_is_a_change_that_has_not_ended(tmp_path: Path) -> None:
    place = tmp_path / "maintenance_window"
    place.mkdir()
    (place / "journal.json").write_text("{")
    (found,) = journals(str(tmp_path / "change"))
    assert (found["kind"], journal_check(found, FREE)["status"]) == ("maintenance window", "warning")
