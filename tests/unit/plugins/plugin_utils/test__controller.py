# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the controller knows about the run it is in."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from ansible_collections.runbook.ops.plugins.plugin_utils import _controller
from ansible_collections.runbook.ops.plugins.plugin_utils._controller import is_gone, left_out, process_began, this_run

VARIABLES = {"ansible_version": {"full": "2.19.14"}}


def test_all_workers_of_a_run_get_the_same_identity() -> None:
    asked = f"from {_controller.__name__} import this_run; print(this_run({{}}, ['x.yml'])['id'])"
    workers = [subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True) for _ in "ab"]
    own = this_run({}, ["x.yml"], parent=os.getpid())["id"]
    assert {worker.stdout.strip() for worker in workers} == {own}
    assert re.fullmatch("[0-9a-f]{12}", own)


def test_a_run_began_when_its_process_did() -> None:
    before = datetime.now(timezone.utc)
    with subprocess.Popen(["sleep", "60"]) as process:
        started = datetime.strptime(this_run({}, [], parent=process.pid)["started_at"], "%Y-%m-%dT%H:%M:%S%z")
        process.kill()
    around = timedelta(seconds=2)  # it is told in whole seconds, and counted from the boot
    assert before - around < started < datetime.now(timezone.utc) + around


def test_a_process_is_gone_once_it_has_ended() -> None:
    with subprocess.Popen(["sleep", "60"]) as process:
        name = this_run({}, [], parent=process.pid)["process"]
        assert is_gone(name) is False
        process.kill()
    assert is_gone(name) is True


def test_a_process_is_gone_although_its_parent_never_asks_how_it_ended() -> None:
    with subprocess.Popen(["sleep", "60"]) as process:
        name = this_run({}, [], parent=process.pid)["process"]
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # it has ended, and is still to be asked
        assert is_gone(name) is True


def test_another_process_of_the_same_number_is_another_run() -> None:
    *machine, pid, began = this_run({}, [], parent=os.getpid())["process"].split("/")
    assert is_gone("/".join([*machine, pid, str(int(began) + 1)])) is True


def test_the_process_of_another_controller_cannot_be_judged() -> None:
    assert is_gone("other-boot/pid:[1]/1/1") is None
    assert is_gone("nonsense") is None


@pytest.mark.parametrize("hidden", ["that it is there", "what it is"])
def test_a_process_that_is_hidden_from_us_is_not_taken_for_gone(
    hidden: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def deny(*_: object, **__: object) -> str:
        raise PermissionError(1, "Operation not permitted")

    (tmp_path / "self").mkdir()
    name = this_run({}, [], parent=os.getpid())["process"]
    monkeypatch.setattr(_controller, "PROC", tmp_path)
    if hidden == "what it is":
        monkeypatch.setattr(Path, "read_text", deny)
    assert is_gone(name) is None
    monkeypatch.setattr(os, "kill", deny)  # it is another account's: root would never be told so
    assert is_gone(name) is None


def test_a_process_that_has_ended_is_gone_also_where_others_are_hidden(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "self").mkdir()
    ended = subprocess.Popen(["true"])
    ended.wait()
    monkeypatch.setattr(_controller, "PROC", tmp_path)
    assert is_gone("/".join([*_controller._machine(), str(ended.pid), "1"])) is True


def test_without_proc_ps_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_controller, "PROC", Path("/nonexistent"))
    began = process_began(os.getpid())
    assert began is not None
    assert re.fullmatch(r"\w{3} \w{3} +\d+ \d\d:\d\d:\d\d \d{4}", began)
    assert process_began(2**22 + 1) is None
    started = datetime.strptime(this_run({}, [], parent=os.getpid())["started_at"], "%Y-%m-%dT%H:%M:%S%z")
    assert 0 <= (datetime.now(timezone.utc) - started).total_seconds() < 3600


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (["playbooks/weekly_maintenance.yml"], "weekly_maintenance"),
        (["runbook.ops.weekly_maintenance"], "weekly_maintenance"),
        (["a.yml", "runbook.ops.b"], "a+b"),
        (["/tmp/my play.yaml"], "my_play"),
        ([], "ad_hoc"),
        ("all", "ad_hoc"),
    ],
    ids=str,
)
def test_a_playbook_has_one_name_however_it_is_called(arguments: list[str], name: str) -> None:
    assert this_run({}, arguments)["playbook"] == name


def test_a_job_of_awx_names_the_run() -> None:
    run = this_run({"awx_job_id": 42, "awx_user_name": "ada", **VARIABLES}, [])
    assert (run["id"], run["awx_job_id"], run["awx_user"]) == ("awx-42", "42", "ada")


def test_behind_sudo_the_caller_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUDO_USER", "ada")
    assert this_run({}, [])["user"] == "ada"


def test_the_versions_are_told() -> None:
    versions = this_run(VARIABLES, [])["versions"]
    assert re.fullmatch(r"\d+\.\d+\.\d+.*", versions["collection"])
    assert versions["ansible"] == "2.19.14"


class HostVars:
    """What inventories say of hosts, without templates resolved."""

    def raw_get(self, host: str) -> dict[str, object]:
        return {} if host == "stranger" else {"ops_system": {"name": "other" if host == "b9" else "shop"}}


def test_hosts_of_the_system_that_a_limit_keeps_out_are_named_and_no_others() -> None:
    every = {
        "groups": {"all": ["a1", "a2", "a3", "b9", "stranger"]},
        "hostvars": HostVars(),
        "ops_system": {"name": "shop"},
    }
    assert left_out({**every, "ansible_limit": "a1", "ansible_play_hosts_all": ["a1"]}) == ["a2", "a3"]
    assert left_out({**every, "ansible_limit": "a*", "ansible_play_hosts_all": ["a1", "a2", "a3"]}) == []
    assert this_run({**every, "ansible_play_hosts_all": ["a1"]}, [])["left_out"] == []
