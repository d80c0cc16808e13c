# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module keeps where it read up to, and nothing in check mode."""

from __future__ import annotations

import pytest
from ansible_collections.runbook.ops.plugins.modules.log_scan import in_one_line, run

NOW = 1_795_305_600.0
LIMITS = {"workers": 2, "timeout_seconds": 60.0}


@pytest.fixture
def given(tmp_path):
    path = tmp_path / "app.log"
    path.write_text("2026-11-21T00:00:00Z ERROR one\n")
    log = {
        "name": "app",
        "path": str(path),
        "patterns": [{"name": "errors", "expression": "ERROR", "per_day": {"warning": 0}}],
    }
    return {"logs": [log], "since_seconds": 7 * 86400.0, "state_path": None, "secrets": [], **LIMITS}


def test_without_a_state_it_only_reads(given, tmp_path):
    before = sorted(tmp_path.iterdir())
    result = run(given, now=NOW, check_mode=False)
    assert not result["changed"]
    assert result["status"] == "warning"
    assert [one["id"] for one in result["checks"]] == ["log_scan:app", "log_scan:app:errors"]
    assert sorted(tmp_path.iterdir()) == before


def test_check_mode_says_what_it_would_keep_and_keeps_nothing(given, tmp_path):
    state = tmp_path / "state.json"
    wish = {**given, "state_path": str(state)}
    predicted = run(wish, now=NOW, check_mode=True)
    assert predicted["changed"]
    assert not state.exists()
    done = run(wish, now=NOW, check_mode=False)
    assert done["diff"] == predicted["diff"]
    assert state.stat().st_mode & 0o777 == 0o600


def test_a_second_reading_finds_nothing_new_and_nothing_mended(given, tmp_path):
    wish = {**given, "state_path": str(tmp_path / "state.json")}
    first = run(wish, now=NOW, check_mode=False)
    second = run(wish, now=NOW + 60, check_mode=False)
    assert not second["changed"]
    assert second["logs"] == []
    assert [(one["id"], one["status"], one["value"]) for one in second["checks"]] == [
        (one["id"], one["status"], one["value"]) for one in first["checks"]
    ]


def test_a_damaged_state_means_a_period_again(given, tmp_path):
    state = tmp_path / "state.json"
    state.write_text("{")
    assert run({**given, "state_path": str(state)}, now=NOW, check_mode=False)["logs"][0]["lines"] == 1


def test_the_worst_is_named():
    checks = [{"status": "ok", "name": "a"}, {"status": "warning", "name": "b"}]
    assert in_one_line(checks, 1) == "1 logs read, 1 warning: b"
    assert in_one_line(checks[:1], 1) == "1 logs read, nothing beyond its limits"


def test_a_journal_is_read_on_from_where_it_was_read(given, tmp_path, monkeypatch):
    asked, said = [], [b"2026-11-21T10:00:00+0000 host app: error\n"]

    def run_program(argv, **_named):
        if "--output=short-unix" in argv:
            yield b"1.0 host"
        else:
            asked.append(next(word for word in argv if word.startswith("--since=")))
            yield from said

    monkeypatch.setattr("ansible_collections.runbook.ops.plugins.module_utils._log_scan.run", run_program)
    monkeypatch.setattr("ansible_collections.runbook.ops.plugins.module_utils._log_scan_source.run", run_program)
    monkeypatch.setattr(
        "ansible_collections.runbook.ops.plugins.module_utils._log_scan.require_unit", lambda _unit: None
    )
    wish = {**given, "logs": [{"name": "a", "unit": "a.service"}], "state_path": str(tmp_path / "state.json")}
    assert run(wish, now=NOW, check_mode=False)["changed"]
    assert run(wish, now=NOW + 60, check_mode=False)["changed"]
    said.clear()
    assert not run(wish, now=NOW + 120, check_mode=False)["changed"]
    assert asked[1:] == [f"--since=@{NOW:.6f}", f"--since=@{NOW + 60:.6f}"]
