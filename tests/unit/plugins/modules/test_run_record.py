# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Records in a real directory."""

from __future__ import annotations

import errno
import fcntl
import json
import stat
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._checks import make_check
from ansible_collections.runbook.ops.plugins.modules import run_record
from ansible_collections.runbook.ops.plugins.modules.run_record import Ledger

RUN = {
    "id": "5f2b8c9d0e1a",
    "playbook": "weekly_maintenance",
    "started_at": "2026-11-23T04:00:00Z",
    "user": "ada",
    "controller": "laptop",
    "process": "boot/ns/1/2",
    "awx_job_id": None,
    "awx_user": None,
    "versions": {"collection": "0.1.0", "ansible": "2.19.14"},
}
OTHER = {**RUN, "id": "0a1b2c3d4e5f", "playbook": "backup", "started_at": "2026-11-23T03:00:00Z"}
CHECK = make_check("disk:/", name="disk /", section="Resources", status="warning")
SUMMARY = {"checks": [CHECK], "changes": [], "failure": None}


def record(directory: Path, state: str = "running", run: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    options = {
        "state": state,
        "run": run or RUN,
        "system": "owlivion",
        "host": "a",
        "hosts": ["a"],
        "lost_hosts": [],
        "summary": SUMMARY if state != "running" else {},
        "interrupted": {},
        "at": "2026-11-23T04:01:12Z",
    }
    return run_record.run(Ledger(str(directory)), {**options, **more})


def content(path: str) -> dict[str, Any]:
    return json.loads(Path(path).read_text())


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "lib" / "runs"


def test_a_record_is_one_line_that_only_its_owner_reads(directory: Path) -> None:
    path = Path(record(directory)["path"])
    assert path.name == "20261123T040000Z-weekly_maintenance-5f2b8c9d0e1a.json"
    assert path.read_text().count("\n") == 1
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert {stat.S_IMODE(one.stat().st_mode) for one in (directory, directory.parent)} == {0o700}


def test_a_run_is_opened_and_closed_in_one_file(directory: Path) -> None:
    opened = record(directory)
    assert (opened["recorded"], opened["status"], content(opened["path"])["status"]) == (True, "running", "running")
    closed = record(directory, "ok")
    assert (closed["path"], closed["status"]) == (opened["path"], "ok")
    assert content(closed["path"])["checks"] == [{"host": "a", **CHECK}]
    assert list((directory / ".open").iterdir()) == []


def test_a_run_that_was_never_opened_is_recorded_when_it_closes(directory: Path) -> None:
    assert content(record(directory, "ok")["path"])["status"] == "ok"


def test_all_hosts_of_a_run_share_its_record(directory: Path) -> None:
    for host in ("a", "b"):
        record(directory, host=host, hosts=["a", "b"])
    assert record(directory, "ok", host="a")["status"] == "running"
    result = record(directory, "ok", host="b")
    assert result["status"] == "ok"
    assert [check["host"] for check in content(result["path"])["checks"]] == ["a", "b"]


def test_a_second_of_difference_in_the_start_is_the_same_run(directory: Path) -> None:
    first = record(directory)["path"]
    assert record(directory, "ok", {**RUN, "started_at": "2026-11-23T04:00:01Z"})["path"] == first
    assert len(list(directory.glob("*.json"))) == 1


def test_other_unfinished_runs_are_named_and_left_alone(directory: Path) -> None:
    path = record(directory, run=OTHER)["path"]
    result = record(directory)
    assert [one["id"] for one in result["unfinished"]] == [OTHER["id"]]
    assert set(result["unfinished"][0]) == {"id", "playbook", "started_at", "process", "controller"}
    assert content(path)["status"] == "running"


def test_an_interrupted_run_is_marked_once_and_warned_of(directory: Path) -> None:
    path = record(directory, run=OTHER)["path"]
    result = record(directory, interrupted={OTHER["id"]: "its process on laptop is gone"})
    assert content(path)["status"] == "interrupted"
    assert content(path)["interruption"]["found_by"] == RUN["id"]
    assert [(check["status"], check["detail"]) for check in result["checks"]] == [
        ("warning", "The run of 2026-11-23T03:00:00Z was interrupted: its process on laptop is gone")
    ]
    assert result["unfinished"] == []
    assert record(directory, interrupted={OTHER["id"]: "again"})["checks"] == []


def test_runs_of_other_systems_are_none_of_our_business(directory: Path) -> None:
    record(directory, run=OTHER, system="shop")
    assert record(directory)["unfinished"] == []


def test_a_marker_that_a_kill_left_without_a_record_is_taken_away(directory: Path) -> None:
    record(directory, "ok")
    (directory / ".open" / "20261123T030000Z-backup-0a1b2c3d4e5f.json").touch()
    assert record(directory)["unfinished"] == []
    assert len(list((directory / ".open").iterdir())) == 1


def test_a_record_that_is_torn_is_written_anew(directory: Path) -> None:
    path = Path(record(directory)["path"])
    path.write_text('{"schema": 1, "id"')
    assert content(record(directory, "ok")["path"])["status"] == "ok"


@pytest.mark.parametrize(
    "text",
    ["[1]", "7", '{"a": 1}', "[" * 9999, '{"schema": 2, "status": "running"}', '{"schema": 1, "status": "running"}'],
    ids=["list", "number", "other", "deep", "later version", "keys are missing"],
)
@pytest.mark.parametrize("own", [True, False], ids=["own", "another run"])
def test_a_record_that_is_none_stops_no_run(directory: Path, text: str, own: bool) -> None:
    path = Path(record(directory, run=RUN if own else OTHER)["path"])
    path.write_text(text)
    result = record(directory, "ok")
    assert (result["status"], result["unfinished"]) == ("ok", [])
    assert own or path.read_text() == text, "what cannot be read is left to look at"


class Killed(BaseException):
    """No except clause of the module catches this one."""


def die(*_: Any, **__: Any) -> None:
    raise Killed


STEPS = [
    pytest.param(run_record.json, "dumps", id="before the new record is written"),
    pytest.param(run_record.os, "fsync", id="before it is flushed"),
    pytest.param(Path, "replace", id="before it is renamed"),
]


@pytest.mark.parametrize(("place", "step"), STEPS)
def test_killed_at_any_step_the_old_record_is_still_there(
    directory: Path, place: Any, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = record(directory)["path"]
    with monkeypatch.context() as patch:
        patch.setattr(place, step, die)
        with pytest.raises(Killed):
            record(directory, "ok")
    assert content(path)["status"] == "running"
    assert record(directory, "ok")["status"] == "ok"
    assert list(directory.glob(".*.partial")) == []


def test_killed_before_its_mark_is_taken_away_a_record_is_closed_all_the_same(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(directory)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", die)
        with pytest.raises(Killed):
            record(directory, "ok")
    assert record(directory, run=OTHER)["unfinished"] == []


def test_a_lock_that_stays_taken_is_an_error_of_the_system(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record(directory)
    monkeypatch.setattr(run_record, "LOCK_SECONDS", 0.05)
    with (directory / ".lock").open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(OSError, match="was not free"):
            record(directory, "ok")


class Exit(SystemExit):
    """What the module answered."""


class FakeModule:
    """Answers by raising, as the real one ends the process."""

    def __init__(self, params: dict[str, Any], check_mode: bool = False) -> None:
        self.params, self.check_mode, self.warnings = params, check_mode, []

    def warn(self, text: str) -> None:
        self.warnings.append(text)

    def exit_json(self, **result: Any) -> None:
        raise Exit(result)


def answer(monkeypatch: pytest.MonkeyPatch, module: FakeModule) -> dict[str, Any]:
    monkeypatch.setattr(run_record, "AnsibleModule", lambda **_: module)
    with pytest.raises(Exit) as ended:
        run_record.main()
    return ended.value.args[0]


def test_a_full_disk_is_a_warning_and_no_failure(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(run_record, "run", full)
    module = FakeModule({"directory": str(directory), "at": None})
    assert answer(monkeypatch, module) == {
        "changed": False,
        "recorded": False,
        "path": None,
        "status": None,
        "unfinished": [],
        "checks": [],
    }
    assert module.warnings == [f"This run is not recorded in {directory}: No space left on device"]


def test_check_mode_writes_nothing(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = answer(monkeypatch, FakeModule({"directory": str(directory), "at": None}, check_mode=True))
    assert (result["recorded"], result["changed"]) == (False, False)
    assert not directory.exists()
