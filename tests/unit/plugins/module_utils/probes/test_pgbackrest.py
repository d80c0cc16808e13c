# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Point in time is judged: backups, the archive, and what would be lost."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._probe_options import COMMON
from ansible_collections.runbook.ops.plugins.module_utils.probes import pgbackrest as probe

WELL: dict[str, Any] = {
    "exists": True,
    "message": "ok",
    "backups": 3,
    "label": "20261121-170658F",
    "age_seconds": 3600.0,
    "full_age_seconds": 3600.0,
    "drill_age_seconds": None,
    "gaps": [],
    "same": True,
    "said": None,
    "archive_mode": "on",
    "archive_timeout_seconds": 60,
    "waiting": 0,
    "waiting_seconds": None,
    "archived_seconds": 20.0,
    "failing": None,
    "standby": False,
}


def judge(options: dict[str, Any] | None = None, **measured: Any) -> dict[str, tuple[str, str]]:
    given = {name: option.default for name, option in {**COMMON, **probe.OPTIONS}.items()}
    checks = probe.judge({**WELL, **measured}, {**given, "section": "Backups", "stanza": "main", **(options or {})})
    assert all(one["remedy"] for one in checks if one["status"] != "ok")
    return {one["id"].rpartition(":")[2]: (one["status"], one["detail"]) for one in checks}


def test_all_is_well() -> None:
    assert {name: status for name, (status, _detail) in judge().items()} == {
        "backup": "ok",
        "archive": "ok",
        "loss": "ok",
    }


@pytest.mark.parametrize(
    ("measured", "check", "status", "words"),
    [
        pytest.param({"age_seconds": 1e6}, "backup", "critical", "at most 1d 2h", id="the newest is old"),
        pytest.param({"age_seconds": None, "label": None}, "backup", "critical", "no whole backup", id="none"),
        pytest.param({"exists": False, "age_seconds": None}, "backup", "critical", "no such stanza", id="no stanza"),
        pytest.param({"same": False}, "backup", "critical", "another cluster", id="another cluster"),
        pytest.param({"gaps": ["A", "B"]}, "archive", "critical", "A is missing, and 1 more", id="a gap"),
        pytest.param({"archive_mode": "off"}, "archive", "critical", "archive_mode is off", id="nothing is archived"),
        pytest.param(
            {"failing": "A", "waiting": 4, "waiting_seconds": 9},
            "archive",
            "critical",
            "4 segments wait",
            id="it fails",
        ),
        pytest.param(
            {"said": "connection refused"}, "archive", "unknown", "connection refused", id="the server is down"
        ),
        pytest.param({"waiting": 1, "waiting_seconds": 400.0}, "loss", "warning", "7m 40s", id="one waits"),
        pytest.param({"waiting": 9, "waiting_seconds": 4000.0}, "loss", "critical", "9 segments wait", id="many wait"),
        pytest.param(
            {"archive_timeout_seconds": 0, "archived_seconds": None}, "loss", "unknown", "no segment", id="never"
        ),
    ],
)
def test_what_is_wrong_is_said(measured: dict[str, Any], check: str, status: str, words: str) -> None:
    found = judge(**measured)[check]
    assert found[0] == status
    assert words in found[1]


def test_the_newest_full_one_is_judged_where_asked_for() -> None:
    assert "full_backup" not in judge()
    assert judge({"max_full_age_seconds": 60.0})["full_backup"][0] == "critical"
    assert judge({"max_full_age_seconds": 8e5})["full_backup"][0] == "ok"


@pytest.mark.parametrize(("age", "status"), [(None, "critical"), (90.0, "critical"), (30.0, "ok")])
def test_the_last_recovery_is_judged_where_asked_for(age: float | None, status: str) -> None:
    assert "drill" not in judge(drill_age_seconds=age)
    assert judge({"max_drill_age_seconds": 60.0}, drill_age_seconds=age)["drill"][0] == status


@pytest.mark.parametrize(
    ("measured", "seconds"),
    [
        pytest.param({}, 20, id="since the last segment"),
        pytest.param({"archived_seconds": 9e5}, 60, id="a quiet server closes what it has"),
        pytest.param({"archived_seconds": None}, 60, id="none yet"),
        pytest.param({"waiting": 2, "waiting_seconds": 100}, 160, id="closed ones wait"),
        pytest.param({"waiting": 1, "waiting_seconds": None}, 60, id="one was archived while it was counted"),
        pytest.param({"archive_timeout_seconds": 0, "archived_seconds": 5000.0}, 5000, id="it closes none by itself"),
    ],
)
def test_what_would_be_lost_is_measured(measured: dict[str, Any], seconds: float) -> None:
    assert probe.lost_seconds({**WELL, **measured}) == seconds


def test_a_standby_archives_nothing_and_a_dead_server_tells_nothing() -> None:
    assert "loss" not in judge(standby=True)
    assert "loss" not in judge(said="connection refused")
