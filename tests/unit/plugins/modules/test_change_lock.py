# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lock of a host's changes as a task takes it, in a real directory."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._change_lock import LockError, LockHeldError, look
from ansible_collections.runbook.ops.plugins.modules import change_lock, change_lock_info

RUN = {"id": "aaa", "playbook": "deploy", "user": "ada", "controller": "laptop", "process": "b/p/1/2"}
OTHER = {**RUN, "id": "bbb", "playbook": "rollback", "user": "bob"}


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "change"


def options(directory: Path, state: str = "taken", run: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    defaults = {name: argument.get("default") for name, argument in change_lock.ARGUMENTS.items()}
    return {**defaults, "directory": str(directory), "state": state, "run": run or RUN, "host": "web-1", **more}


def lock(directory: Path, state: str = "taken", *, check_mode: bool = False, **more: Any) -> dict[str, Any]:
    return change_lock.run(options(directory, state, **more), check_mode=check_mode)


def test_a_free_lock_is_taken_renewed_and_given_back(directory: Path) -> None:
    first, again = lock(directory), lock(directory)
    assert (first["before"], again["before"]) == ("free", "mine")
    assert first["fence"] == again["fence"] == {"directory": str(directory), "number": 1, "owner": "aaa"}
    assert lock(directory, "renewed")["fence"] == first["fence"]
    assert lock(directory, "released")["fence"]["number"] == 0
    assert lock(directory, run=OTHER)["fence"]["number"] == 2
    assert {first["changed"], first["holder"]} == {False, None}


def test_a_lock_that_is_held_is_refused_by_name(directory: Path) -> None:
    lock(directory)
    with pytest.raises(LockHeldError):
        lock(directory, run=OTHER)
    said = change_lock.refusal(options(directory, run=OTHER))
    assert said["msg"].startswith("deploy of ada on laptop changes this host since")
    assert said["msg"].endswith("-e change_break=aaa")
    assert (said["holder"]["owner"], said["holder"]["process"]) == ("aaa", "b/p/1/2")


@pytest.mark.parametrize(
    ("words", "why"),
    [
        pytest.param({"gone": "aaa"}, "its process on the controller is gone", id="its run is gone"),
        pytest.param({"break_owner": "aaa"}, "it was broken by name", id="it is broken by name"),
    ],
)
def test_a_lock_is_taken_over_with_a_warning_and_its_owner_renews_it_no_more(
    directory: Path, words: dict[str, str], why: str
) -> None:
    lock(directory)
    taken = lock(directory, run=OTHER, **words)
    (check,) = taken["checks"]
    assert (check["status"], check["value"]) == ("warning", "taken over")
    assert check["detail"].endswith(why)
    assert (taken["fence"]["number"], taken["holder"]["owner"]) == (2, "aaa")
    with pytest.raises(LockError, match="taken over by rollback"):
        lock(directory, "renewed")
    lock(directory, "released")
    assert look(str(directory))["owner"] == "bbb"


def test_a_lock_is_not_broken_by_a_wrong_name(directory: Path) -> None:
    lock(directory)
    with pytest.raises(LockHeldError):
        lock(directory, run=OTHER, break_owner="ccc")


def test_a_lock_that_is_given_back_in_time_is_waited_for(directory: Path) -> None:
    lock(directory)
    giving = threading.Timer(0.3, lock, (directory, "released"))
    giving.start()
    assert lock(directory, run=OTHER, wait_seconds=20)["fence"]["number"] == 2
    giving.join()


def test_check_mode_takes_no_lock_and_says_who_holds_it(directory: Path) -> None:
    assert lock(directory, check_mode=True)["fence"]["number"] == 0
    assert not directory.exists()
    lock(directory)
    seen = lock(directory, run=OTHER, check_mode=True)
    assert (seen["before"], seen["fence"]["number"]) == ("held", 0)
    assert [check["value"] for check in seen["checks"]] == ["held"]
    assert look(str(directory))["owner"] == "aaa"


def test_what_has_not_ended_is_told_with_the_lock(directory: Path) -> None:
    journal = directory.parent / "deploy" / "api" / "journal.json"
    journal.parent.mkdir(parents=True)
    journal.write_text(json.dumps({"phase": "switching", "run": "ccc", "release": "r1"}))
    (found,) = lock(directory)["unfinished"]
    assert (found["kind"], found["name"], found["phase"], found["run"]) == ("deploy", "api", "switching", "ccc")


def test_a_look_shows_the_lock_and_what_was_begun(directory: Path) -> None:
    assert [check["value"] for check in change_lock_info.run(str(directory))["checks"]] == ["free"]
    journal = directory.parent / "maintenance_window" / "journal.json"
    journal.parent.mkdir(parents=True)
    journal.write_text("cut of")
    lock(directory)
    seen = change_lock_info.run(str(directory))
    assert [(check["status"], check["value"]) for check in seen["checks"]] == [("ok", "held"), ("warning", "unknown")]
    assert (seen["locks"][0]["owner"], seen["number"]) == ("aaa", 1)


def test_what_is_begun_by_the_holder_is_at_work(directory: Path) -> None:
    journal = directory.parent / "deploy" / "api" / "journal.json"
    journal.parent.mkdir(parents=True)
    journal.write_text(json.dumps({"phase": "watched", "run": "aaa"}))
    lock(directory)
    assert change_lock_info.run(str(directory))["checks"][1]["status"] == "ok"


def test_a_lease_that_is_over_is_told_as_abandoned(directory: Path) -> None:
    lock(directory, lease_seconds=0)
    (check,) = change_lock_info.run(str(directory))["checks"]
    assert (check["status"], check["value"]) == ("warning", "abandoned")
