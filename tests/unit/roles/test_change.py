# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two real controllers at once, on this machine: who gets the lock of a host, and what becomes of one that is killed."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[3]
ANSIBLE = Path(sys.executable).with_name("ansible-playbook")
PLAYBOOK = """
- name: Change the host
  hosts: all
  gather_facts: false
  any_errors_fatal: true
  tasks:
    - name: Describe the system
      ansible.builtin.import_role: {name: runbook.ops.system}
      tags: [always]
    - name: Change the host
      block:
        - name: Take the lock
          ansible.builtin.import_role: {name: runbook.ops.change}
        - name: Change
          ansible.builtin.command: "{{ command }}"
          changed_when: false
        - name: Prove that nobody took over
          ansible.builtin.import_role: {name: runbook.ops.change, tasks_from: renew}
        - name: Change more
          ansible.builtin.command: "{{ more | default('true') }}"
          changed_when: false
      always:
        - name: Let others change the host
          ansible.builtin.import_role: {name: runbook.ops.change, tasks_from: release}
"""
READS = {
    "change_status": "shows the lock",
    "compare_buckets": "reads buckets",
    "confirm": "writes nothing but its record",
    "cost_review": "only reads",
    "quarterly_review": "only reads",
    "user_metrics": "only reads",
    "capacity_planning": "only reads",
    "diagnose": "only reads",
    "disaster_recovery_drill": "its host is for drills alone",
    "evening_review": "only reads",
    "export_data": "reads the database, and writes a file of its own",
    "health_check": "only reads",
    "log_analysis": "only reads",
    "performance_review": "only reads, but for a file of counters of its own",
    "dashboards": "writes files that Prometheus and Grafana read",
    "kpis": "only reads",
    "report": "writes files of its own, which nothing else reads",
    "service_status": "only reads",
    "test_restore": "restores beside, into a database of its own",
    "verify_backups": "reads backups",
    "backup": "reads what is live; a lock of each set keeps two backups apart, and no backup may wait for a deploy",
    "mirror_buckets": "as the backups",
    "rotate_backups": "as the backups",
    "schedule": "sets up the timers of the calendar; what they run takes the lock",
    "schedule_status": "only reads",
    "schedule_backups": "sets up the timer of the backups",
    "point_in_time_backup": "as the backups; a restart of the server has to be asked for by itself",
    "install_monitoring": "sets up the timer of the monitoring",
    "silence_alert": "changes no host",
    "deploy_status": "only reads",
}


class Controller:
    """An inventory with one host that is this machine, and a playbook that changes it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lock = folder / "state" / "change" / "lock.json"
        (folder / "change.yml").write_text(PLAYBOOK)
        (folder / "ansible.cfg").write_text("")  # not this machine's own

    def start(self, *arguments: str, playbook: str = "change", **variables: Any) -> subprocess.Popen[str]:
        everything = {
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            "ops_system": {"name": "shop"},
            "change_directory": str(self.lock.parent),
            "command": "true",
            **variables,
        }
        environment = {
            **os.environ,
            "ANSIBLE_CONFIG": str(self.folder / "ansible.cfg"),
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "collections"),
            "ANSIBLE_LOCAL_TEMP": str(self.folder / "local"),
            "ANSIBLE_REMOTE_TEMP": str(self.folder / "remote"),
            "ANSIBLE_NOCOLOR": "1",
        }
        command = [str(ANSIBLE), "-i", "web-1,", "-e", json.dumps(everything), f"{playbook}.yml", *arguments]
        return subprocess.Popen(
            command, cwd=self.folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def run(self, *arguments: str, **variables: Any) -> tuple[int, str]:
        process = self.start(*arguments, **variables)
        said, _ = process.communicate(timeout=300)
        return process.returncode, " ".join(said.split())

    def working(self, until: Path, **variables: Any) -> subprocess.Popen[str]:
        """Return a run that holds the lock, and works until there is a file ``until``."""
        work = f"timeout 300 sh -c 'until [ -e {until} ]; do sleep 0.1; done'"
        process = self.start(command=work, **variables)
        deadline = time.monotonic() + 120
        while not (self.lock.exists() and self.state()["owner"]):
            assert time.monotonic() < deadline, "the run did not take the lock"
            time.sleep(0.05)
        return process

    def state(self) -> dict[str, Any]:
        return json.loads(self.lock.read_text(encoding="utf-8"))


@pytest.fixture
def controller(tmp_path: Path) -> Controller:
    return Controller(tmp_path)


def test_a_second_run_is_refused_by_name_and_a_patient_one_gets_its_turn(controller: Controller) -> None:
    go_on = controller.folder / "go-on"
    first = controller.working(go_on)
    owner = controller.state()["owner"]
    code, said = controller.run(command="touch changed")
    assert code == 2
    assert "changes this host since" in said
    assert f"-e change_break={owner}" in said
    assert not (controller.folder / "changed").exists()
    assert controller.state()["owner"] == owner
    patient = controller.start(change_wait_seconds=200)
    time.sleep(2)
    go_on.touch()
    assert (first.wait(200), patient.wait(200)) == (0, 0)
    assert (controller.state()["owner"], controller.state()["number"]) == (None, 2)


def test_the_lock_of_a_killed_run_is_taken_over_at_once(controller: Controller) -> None:
    go_on = controller.folder / "go-on"
    first = controller.working(go_on)
    first.send_signal(signal.SIGKILL)
    first.wait()
    code, said = controller.run()
    go_on.touch()
    assert code == 0, said
    assert (controller.state()["owner"], controller.state()["number"]) == (None, 2)


def test_a_controller_that_is_stopped_past_its_lease_is_taken_over_and_refused_when_it_goes_on(
    controller: Controller,
) -> None:
    go_on = controller.folder / "go-on"
    first = controller.working(go_on, change_lease_seconds=2, more=f"touch {controller.folder}/late")
    first.send_signal(signal.SIGSTOP)
    code, said = controller.run(change_wait_seconds=60)
    assert code == 0, said
    go_on.touch()
    first.send_signal(signal.SIGCONT)
    told, _none = first.communicate(timeout=300)
    assert first.returncode == 2
    assert "nothing was written after that" in " ".join(told.split())
    assert not (controller.folder / "late").exists()


def test_a_run_that_fails_gives_its_lock_back_and_one_that_only_looks_takes_none(controller: Controller) -> None:
    assert controller.run("--check")[0] == 0
    assert controller.run("--tags", "preflight")[0] == 0
    assert not controller.lock.exists()
    assert controller.run(command="false")[0] == 2
    assert (controller.state()["owner"], controller.state()["number"]) == (None, 1)


@pytest.mark.parametrize("playbook", sorted(ROOT.glob("playbooks/*.yml")), ids=lambda path: path.stem)
def test_a_playbook_takes_the_lock_first_and_gives_it_back_always_or_says_why_not(playbook: Path) -> None:
    roles = []
    for play in yaml.safe_load(playbook.read_text(encoding="utf-8")):
        for block in play.get("tasks", []):
            for part in ("block", "always"):
                roles += [task.get("ansible.builtin.import_role", {}) for task in block.get(part, [])]
    named = [(role.get("name"), role.get("tasks_from")) for role in roles]
    takes = ("runbook.ops.change", None) in named
    assert takes != (playbook.stem in READS)
    if takes:
        assert named[:2] == [("runbook.ops.record", None), ("runbook.ops.change", None)]
        assert named[-1] == ("runbook.ops.change", "release")


def test_a_short_lease_is_for_playbooks_of_which_each_role_is_short_or_proves_that_nobody_took_over() -> None:
    short = yaml.safe_load((ROOT / "roles/change/vars/main.yml").read_text(encoding="utf-8"))["__change_proven"]
    known = {"system", "record", "change", "deploy", "rollback", "database_migration"}
    for name in short:
        plays = yaml.safe_load((ROOT / f"playbooks/{name}.yml").read_text(encoding="utf-8"))
        assert set(re.findall(r"'runbook\.ops\.([a-z_]+)'", str(plays))) <= known


def test_the_lease_is_long_where_steps_do_not_prove_themselves_and_short_where_they_do(controller: Controller) -> None:
    leases = {}
    for name in ("deploy", "upkeep"):
        (controller.folder / f"{name}.yml").write_text(PLAYBOOK)
        assert controller.run(command=f"cp {controller.lock} {controller.folder}/{name}.json", playbook=name)[0] == 0
        leases[name] = json.loads((controller.folder / f"{name}.json").read_text(encoding="utf-8"))["lease_seconds"]
    assert leases == {"deploy": 300, "upkeep": 21600}
