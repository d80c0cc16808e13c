# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real runs of a playbook that describes its system and records itself, on this machine, in a temporary directory."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._checks import make_change, make_check

ROOT = Path(__file__).parents[3]
ANSIBLE = Path(sys.executable).with_name("ansible-playbook")
PLAYBOOK = """
- name: Maintain the system
  hosts: all
  gather_facts: false
  any_errors_fatal: true
  tasks:
    - name: Describe the system
      ansible.builtin.import_role:
        name: runbook.ops.system
      tags: [always]
    - name: Maintain the system, and record it
      block:
        - name: Open the record
          ansible.builtin.import_role:
            name: runbook.ops.record
        - name: Observe
          ansible.builtin.set_fact:
            __observed:
              checks: ["{{ check | combine({'status': disk}) }}"]
              changes: ["{{ change }}"]
        - name: Change
          ansible.builtin.command: "{{ command }}"
          changed_when: false
        - name: Close the record
          ansible.builtin.import_role:
            name: runbook.ops.record
            tasks_from: close
      rescue:
        - name: Record the failure
          ansible.builtin.import_role:
            name: runbook.ops.record
            tasks_from: failed
"""
VARIABLES: dict[str, Any] = {
    "ansible_connection": "local",
    "ansible_python_interpreter": sys.executable,
    "ops_system": {"name": "owlivion"},
    "ops_databases": [{"name": "d", "owner": "o", "password": "hunter2"}],
    "disk": "ok",
    "check": make_check("disk:/", name="disk /", section="Resources", status="ok"),
    "change": make_change("t", action="a", section="S", reason="the word is hunter2"),
    "command": "true",
}


class Controller:
    """An inventory of hosts that are all this machine, a playbook, and a directory for its records."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.runs = folder, folder / "runs"
        (folder / "maintain.yml").write_text(PLAYBOOK)
        (folder / "ansible.cfg").write_text("")  # not this machine's own

    def start(self, *arguments: str, hosts: tuple[str, ...] = ("a",), **variables: Any) -> subprocess.Popen[str]:
        everything = {**VARIABLES, "record_directory": str(self.runs), **variables}
        inventory = {"all": {"hosts": {host: {} for host in hosts}, "vars": everything}}
        (self.folder / "inventory.json").write_text(json.dumps(inventory))
        environment = {
            **os.environ,
            "ANSIBLE_CONFIG": str(self.folder / "ansible.cfg"),
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "collections"),
            "ANSIBLE_LOCAL_TEMP": str(self.folder / "local"),
            "ANSIBLE_REMOTE_TEMP": str(self.folder / "remote"),
            "ANSIBLE_NOCOLOR": "1",
        }
        command = [str(ANSIBLE), "-i", "inventory.json", "maintain.yml", *arguments]
        return subprocess.Popen(
            command, cwd=self.folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def run(self, *arguments: str, **variables: Any) -> tuple[int, str]:
        process = self.start(*arguments, **variables)
        said, _ = process.communicate(timeout=300)
        return process.returncode, said

    def wait_for_a_record(self) -> None:
        """Return once a run has opened its record."""
        end = time.monotonic() + 120
        while not list(self.runs.glob("*.json")):
            assert time.monotonic() < end, "the run did not open its record"
            time.sleep(0.05)

    def records(self) -> list[dict[str, Any]]:
        return [json.loads(path.read_text()) for path in sorted(self.runs.glob("*.json"))]


@pytest.fixture
def controller(tmp_path: Path) -> Controller:
    return Controller(tmp_path)


def test_a_run_leaves_one_record_for_all_its_hosts(controller: Controller) -> None:
    code, said = controller.run("-vv", hosts=("a", "b"))
    assert code == 0, said
    assert "hunter2" not in said.replace("the word is hunter2", "")  # our own set_fact prints its words
    (record,) = controller.records()
    assert (record["status"], record["playbook"], record["system"]) == ("ok", "maintain", "owlivion")
    assert sorted((host["host"], host["status"]) for host in record["hosts"]) == [("a", "ok"), ("b", "ok")]
    assert sorted(check["host"] for check in record["checks"]) == ["a", "b"]
    assert {change["reason"] for change in record["changes"]} == {"the word is (hidden)"}
    assert "changed=0" in said


@pytest.mark.parametrize(("disk", "code", "number"), [("ok", 0, 0), ("critical", 2, 3)])
def test_what_a_run_found_is_told_to_node_exporter_though_it_failed(
    controller: Controller, disk: str, code: int, number: int
) -> None:
    figure = make_check("disk:/", name="disk /", section="Resources", status="ok", value=42.5, unit="%")
    folder = controller.folder / "textfiles"
    folder.mkdir()
    found, said = controller.run(check=figure, disk=disk, ops_monitoring={"textfile_directory": str(folder)})
    assert found == code, said
    (path,) = folder.iterdir()
    assert path.name == "runbook_ops_run_owlivion.maintain.prom"
    text = path.read_text()
    assert 'runbook_run_value{system="owlivion",playbook="maintain",id="disk:/",unit="%"} 42.5\n' in text
    assert f'runbook_run_status{{system="owlivion",playbook="maintain",id="disk:/"}} {number}\n' in text


def test_a_run_that_cannot_tell_its_figures_goes_well_all_the_same(controller: Controller) -> None:
    figure = make_check("disk:/", name="disk /", section="Resources", status="ok", value=42.5, unit="%")
    code, said = controller.run(check=figure, ops_monitoring={"textfile_directory": "/does/not/exist"})
    assert code == 0, said


def test_telling_figures_never_stands_before_what_failed(controller: Controller) -> None:
    figure = make_check("disk:/", name="disk /", section="Resources", status="ok", value=int("9" * 400), unit="%")
    folder = controller.folder / "textfiles"
    folder.mkdir()
    told = {"check": figure, "ops_monitoring": {"textfile_directory": str(folder)}}
    code, said = controller.run(command="false", **told)  # a number that no float can hold: the module breaks
    assert code == 2
    assert "Change failed: " in said
    assert controller.run(**told)[0] == 0


def test_a_critical_check_fails_the_run_and_is_named(controller: Controller) -> None:
    code, said = controller.run(disk="critical")
    assert code == 2
    assert "1 of 1 checks is critical: disk /" in said
    (record,) = controller.records()
    assert (record["status"], record["check_status"]) == ("failed", "critical")
    assert record["failure"]["message"] == "1 of 1 checks is critical: disk /"


def test_the_limit_of_the_verdict_can_be_chosen(controller: Controller) -> None:
    assert controller.run(disk="critical", record_fail_on="never")[0] == 0
    assert controller.run(disk="warning", record_fail_on="warning")[0] == 2


def test_the_task_that_failed_is_recorded_and_the_run_still_fails(controller: Controller) -> None:
    code, said = controller.run(command="ls /nonexistent/hunter2")
    assert code == 2
    assert "Change failed: " in said
    (record,) = controller.records()
    assert record["status"] == "failed"
    assert (record["failure"]["host"], record["failure"]["task"]) == ("a", "Change")
    assert "(hidden)" in record["failure"]["message"]
    assert [change["thing"] for change in record["changes"]] == ["t"]


def test_check_mode_and_preflight_leave_no_record(controller: Controller) -> None:
    for arguments in (["--check"], ["--tags", "preflight"]):
        code, said = controller.run(*arguments)
        assert code == 0, said
    assert not controller.runs.exists()


def test_check_mode_judges_as_the_run_would(controller: Controller) -> None:
    assert controller.run("--check", disk="critical")[0] == 2


def test_a_run_that_cannot_be_recorded_goes_on_with_a_warning(controller: Controller) -> None:
    controller.runs.write_text("not a directory")
    code, said = controller.run()
    assert code == 0, said
    assert "This run is not recorded in" in said


def test_where_records_are_required_such_a_run_is_refused_before_anything_is_done(controller: Controller) -> None:
    controller.runs.write_text("not a directory")
    marker = controller.folder / "done"
    code, _said = controller.run(record_required=True, command=f"touch {marker}")
    assert code == 2
    assert not marker.exists()


def until(there: Path) -> str:
    """Return a command that ends once something is ``there``."""
    return f"timeout 300 sh -c 'until [ -e {there} ]; do sleep 0.1; done'"


def killed(controller: Controller) -> dict[str, Any]:
    """Return the record of a run that was killed in the middle."""
    go_on = controller.folder / "go-on"
    process = controller.start(command=until(go_on))
    controller.wait_for_a_record()
    process.send_signal(signal.SIGKILL)
    process.wait()
    go_on.touch()  # what the run had started goes on without it
    (record,) = controller.records()
    return record


def test_a_killed_run_is_found_by_the_next_one(controller: Controller) -> None:
    record = killed(controller)
    assert record["status"] == "running"
    code, said = controller.run()
    assert code == 0, said
    dead, alive = sorted(controller.records(), key=lambda one: one["id"] != record["id"])
    assert (dead["id"], dead["status"], dead["ended_at"]) == (record["id"], "interrupted", None)
    assert dead["interruption"]["reason"].endswith("is gone")
    assert dead["interruption"]["found_by"] == alive["id"]
    assert alive["status"] == "ok"
    assert [check["id"] for check in alive["checks"]] == [f"record:{record['id']}", "disk:/"]


def test_a_run_that_is_at_work_is_not_disturbed_by_another(controller: Controller, tmp_path: Path) -> None:
    go_on = tmp_path / "go-on"
    first = controller.start(command=until(go_on))
    controller.wait_for_a_record()
    code, said = controller.run()
    assert code == 0, said
    assert sorted(record["status"] for record in controller.records()) == ["ok", "running"]
    go_on.touch()
    first.communicate(timeout=300)
    assert [record["status"] for record in controller.records()] == ["ok", "ok"]
