# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One deploy over several hosts: what becomes of those that have switched where a later one refuses. Only the modules on the host are stand-ins."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.runbook.ops.plugins.modules import deployment, deployment_info, release

ROOT = Path(__file__).parents[3]
ANSIBLE = Path(sys.executable).with_name("ansible-playbook")
# In the place of modules that need a host: one file for each host says what serves there, and what it refuses.
STAND_IN = """
import json, os
from ansible.module_utils.basic import AnsibleModule

def main():
    options = {name: {"type": kind} for name, kind in OPTIONS.items()}
    module = AnsibleModule(argument_spec=options, supports_check_mode=True)
    p = module.params
    if not p["service"]:
        module.exit_json(changed=False, deployments=[], lines=[], checks=[])
    path = os.path.join(p["service"]["source"]["repository"], "state")
    with open(path) as file:
        state = json.load(file)
    before = state["live"]
    if p["state"] == "promoted" and state["refuses"]:
        module.fail_json(msg="it is bad here", outcome="rolled_back", checks=[], changes=[])
    if p["state"] in ("promoted", "rolled_back") and not module.check_mode:
        state["live"] = "old" if p["state"] == "rolled_back" else "new"
        state["log"].append([p["state"], p["reason"], bool(p["fence"])])
    with open(path, "w") as file:
        json.dump(state, file)
    outcome = p["state"] if state["live"] != before else "unchanged"
    module.exit_json(changed=state["live"] != before, outcome=outcome, checks=[], changes=[], release={"id": "new", "path": None},
                     deployment={"live": {"slot": "blue", "release": state["live"]}}, deployments=[], lines=[])

main()
"""
OPTIONS = {
    "deployment": deployment.ARGUMENTS,
    "release": release.ARGUMENTS,
    "deployment_info": deployment_info.ARGUMENTS,
}


class Fleet:
    """Three hosts that are this machine, each with a state and a lock of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        ours = folder / "collections" / "ansible_collections" / "runbook" / "ops"
        kept = shutil.ignore_patterns("__pycache__", ".git", "tests", "docs", "molecule", "collections", ".*")
        for part in ("plugins", "roles", "playbooks", "meta"):
            shutil.copytree(ROOT / part, ours / part, ignore=kept)
        shutil.copy(ROOT / "galaxy.yml", ours)
        for name, options in OPTIONS.items():
            kinds = dict.fromkeys(options, "raw") | {"service": "dict"}
            (ours / f"plugins/modules/{name}.py").write_text(f"OPTIONS = {kinds!r}\n{STAND_IN}")

    def deploy(self, *refusing: str, given: tuple[str, ...] = (), **variables: Any) -> str:
        hosts = {}
        for name in ("web-1", "web-2", "web-3"):
            place = self.folder / name
            place.mkdir()
            (place / "state").write_text(json.dumps({"live": "old", "refuses": name in refusing, "log": []}))
            service = {
                "name": "shop",
                "manager": "pm2",
                "user": "shop",
                "path": "/srv/shop",
                "entry_point": "server.js",
                "port": 3000,
                "standby_name": "shop-new",
                "standby_port": 3001,
                "source": {"repository": str(place), "branch": "main"},
                "deploy": {"strategy": "rolling", "proxy": None},
            }
            hosts[name] = {"ops_services": [service], "change_directory": str(place / "change")}
        everything = {
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            "ops_system": {"name": "shop"},
            "record_directory": str(self.folder / "runs"),
            **variables,
        }
        (self.folder / "hosts.json").write_text(json.dumps({"all": {"hosts": hosts, "vars": everything}}))
        environment = {
            **os.environ,
            "ANSIBLE_CONFIG": str(self.folder / "ansible.cfg"),
            "ANSIBLE_COLLECTIONS_PATH": str(self.folder / "collections"),
            "ANSIBLE_LOCAL_TEMP": str(self.folder / "local"),
            "ANSIBLE_REMOTE_TEMP": str(self.folder / "remote"),
            "ANSIBLE_BECOME_EXE": "env",
            "ANSIBLE_NOCOLOR": "1",
        }
        (self.folder / "ansible.cfg").write_text("")
        command = [
            str(ANSIBLE),
            "-i",
            "hosts.json",
            "runbook.ops.deploy",
            "-e",
            json.dumps({"ansible_become": False}),
            *given,
        ]
        done = subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True, check=False)
        return " ".join((done.stdout + done.stderr).split())

    def state(self, name: str) -> dict[str, Any]:
        return json.loads((self.folder / name / "state").read_text())

    def serves(self) -> list[str]:
        return [self.state(name)["live"] for name in ("web-1", "web-2", "web-3")]


@pytest.fixture
def fleet(tmp_path: Path) -> Fleet:
    return Fleet(tmp_path)


def test_hosts_that_have_switched_go_back_where_a_later_one_refuses_and_those_not_reached_are_left_alone(
    fleet: Fleet,
) -> None:
    said = fleet.deploy("web-3")
    assert fleet.serves() == ["old", "old", "old"], said
    assert fleet.state("web-2")["log"], said
    assert [line[:2] for line in fleet.state("web-1")["log"]] == [["promoted", ""], ["rolled_back", "web-3 refused it"]]
    assert all(fenced for name in ("web-1", "web-2") for _state, _reason, fenced in fleet.state(name)["log"])
    assert "it is bad here" in said
    assert "Back on the release before: web-2, web-1. Still on the new one: none. Not touched: none" in said
    for name in ("web-1", "web-2", "web-3"):
        lock = json.loads((fleet.folder / name / "change" / "lock.json").read_text())
        assert (lock["owner"], lock["number"]) == (None, 1 if name == "web-3" else 2)


def test_the_first_host_that_refuses_ends_it_and_all_hosts_switch_where_none_does(fleet: Fleet) -> None:
    said = fleet.deploy("web-1")
    assert fleet.serves() == ["old", "old", "old"], said
    assert fleet.state("web-2")["log"] == []
    for name in ("web-1", "web-2", "web-3"):
        shutil.rmtree(fleet.folder / name)
    said = fleet.deploy()
    assert fleet.serves() == ["new", "new", "new"], said


def test_hosts_keep_what_they_have_where_that_is_asked_for(fleet: Fleet) -> None:
    said = fleet.deploy("web-2", given=("-e", "deploy_together=false"))  # a text, not a truth value
    assert fleet.serves() == ["new", "old", "old"], said
    assert "Still on the new one: web-1. Not touched: web-3" in said
