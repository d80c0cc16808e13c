# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A report names each item of the checklist: who confirmed it when, and when it is due next."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._checklist import ChecklistError
from ansible_collections.runbook.ops.plugins.module_utils._report_checklist import checklist_of
from ansible_collections.runbook.ops.plugins.modules import report

DAY = 86400
UNTIL = 1796083200.0  # 2026-12-01
ITEMS = [
    {"name": "access reviewed", "every_seconds": 92 * DAY, "playbook": "quarterly_review", "what": "who may log in"},
    {"name": "keys rotated", "every_seconds": 30 * DAY, "playbook": "quarterly_review"},
    {"name": "fees", "every_seconds": 31 * DAY, "playbook": "cost_review", "unit": "EUR"},
    {
        "name": "restore tried",
        "every_seconds": 92 * DAY,
        "playbook": "quarterly_review",
        "proven_by": ["test_restore"],
    },
    {"name": "laws read", "every_seconds": 365 * DAY, "playbook": "quarterly_review"},
]


def write(directory: Path, at: str, playbook: str, changes: list[dict[str, Any]]) -> None:
    stamp = at.replace("-", "").replace(":", "")
    record = {
        "schema": 1,
        "id": "5f2b8c9d0e1a",
        "playbook": playbook,
        "system": "shop",
        "status": "ok",
        "check_status": "ok",
        "started_at": at,
        "ended_at": at,
        "seconds": 1.0,
        "who": {"user": "ada"},
        "hosts": [{"host": "web-1", "status": "ok"}],
        "checks": [],
        "changes": changes,
        "failure": None,
    }
    (directory / f"{stamp}-{playbook}-5f2b8c9d0e1a.json").write_text(json.dumps(record))


def said(name: str, reason: str, after: Any) -> dict[str, Any]:
    return {"host": "web-1", "thing": f"checklist:{name}", "action": "confirm", "reason": reason, "after": after}


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    directory = tmp_path / "runs"
    directory.mkdir()
    by = "by Ada <b>Lovelace</b>"
    write(directory, "2026-09-20T08:00:00Z", "confirm", [said("keys rotated", "by Bob on 2026-09-20", "2026-09-20")])
    note = f"{by} on 2026-11-19: two accounts closed, token=planted-secret-1"
    write(directory, "2026-11-20T08:00:00Z", "confirm", [said("access reviewed", note, "2026-11-19")])
    write(directory, "2026-11-21T08:00:00Z", "confirm", [said("fees", "by Bob on 2026-11-21", 231.4)])
    write(directory, "2026-11-22T08:00:00Z", "test_restore", [])
    write(directory, "2026-12-02T08:00:00Z", "confirm", [said("laws read", "by Bob on 2026-12-02", "2026-12-02")])
    return directory


def options(runs: Path, **more: Any) -> dict[str, Any]:
    given = {name: option.get("default") for name, option in {**report.ARGUMENTS, **report.OWN}.items()}
    own = {"records_directory": str(runs), "directory": str(runs.parent / "reports"), "system": "shop"}
    return {**given, **own, "at": "2026-12-05T06:00:00Z", "checklist": ITEMS, **more}


def test_each_item_says_who_did_it_when_and_when_again(runs: Path) -> None:
    rows = {row["name"]: row for row in checklist_of(options(runs), UNTIL)}
    assert list(rows) == [item["name"] for item in ITEMS]
    told = {name: [row[key] for key in ("status", "by", "on", "due")] for name, row in rows.items()}
    assert told["access reviewed"] == ["ok", "Ada <b>Lovelace</b>", "2026-11-19", "2027-02-19"]
    assert told["keys rotated"] == ["critical", "Bob", "2026-09-20", "2026-10-20"]
    assert rows["keys rotated"]["overdue_days"] == 41
    assert (rows["fees"]["value"], rows["fees"]["unit"]) == (231.4, "EUR")
    assert told["restore tried"] == ["ok", None, "2026-11-22", "2027-02-22"]
    assert rows["restore tried"]["how"] == "test_restore ran well on 2026-11-22"
    assert told["laws read"] == ["warning", None, None, None], "it was confirmed after the period"


def test_a_period_that_runs_is_told_as_it_is_now(runs: Path) -> None:
    rows = {row["name"]: row for row in checklist_of(options(runs), UNTIL + 31 * DAY)}
    assert rows["laws read"]["by"] == "Bob"


def test_without_items_no_record_is_read(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("no directory")
    assert checklist_of(options(tmp_path / "runs", checklist=[]), UNTIL) == []
    with pytest.raises(ChecklistError, match="cannot be read"):
        checklist_of(options(tmp_path / "runs"), UNTIL)


def test_the_page_the_text_and_the_data_name_it_and_nothing_in_it_is_markup_or_secret(runs: Path) -> None:
    told = report.run(options(runs), check_mode=False)
    page, data, text = (Path(path).read_text(encoding="utf-8") for path in sorted(told["paths"]))
    assert '<h2 id="checklist">Checklist</h2>' in page and "## Checklist" in text
    for content in (page, text):
        assert "two accounts closed" in content and "2027-02-19" in content
        assert "2026-10-20, overdue by 41 days" in content and "231.4 EUR, Bob" in content.replace("\\", "")
        assert "<b>Lovelace" not in content and "planted-secret-1" not in content
    assert [row["name"] for row in json.loads(data)["checklist"]] == [item["name"] for item in ITEMS]
    assert not report.run(options(runs), check_mode=False)["changed"]


def test_a_report_without_a_checklist_has_no_such_section(runs: Path) -> None:
    told = report.run(options(runs, checklist=[]), check_mode=False)
    page, data, text = (Path(path).read_text(encoding="utf-8") for path in sorted(told["paths"]))
    assert "Checklist" not in page + text and json.loads(data)["checklist"] == []
