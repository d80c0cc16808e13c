# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One deploy over several hosts: what becomes of those that have switched where a later one refuses. Only the modules on the host are stand-ins."""

from __future__ import annotations

import http.server
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.runbook.ops.plugins.modules import deployment, deployment_info, release

ROOT = Path(__file__).parents[2]
ANSIBLE = Path(sys.executable).with_name("ansible-playbook")
# In the place of modules that need a host: one file for each host says what serves there, and what it refuses.
STAND_IN = """
import json, os
from ansible.module_utils.basic import AnsibleModule

def main():
    options = {name: {"type": kind} for name, kind in OPTIONS.items()}
    module = AnsibleModule(argument_spec=options, supports_check_mode=True)
    p = module.params
    service = p["service"] or p["services"][0]
    path = os.path.join(service["source"]["repository"], "state")
    with open(path) as file:
        state = json.load(file)
    before = state["live"]
    if p["services"]:
        module.exit_json(changed=False, deployments=[{"live": {"slot": "blue", "release": before}}], lines=[], checks=[])
    if p["state"] == "promoted" and state["refuses"]:
        for other, release in state["meanwhile"].items():
            with open(other) as file:
                changed = dict(json.load(file), live=release)
            with open(other, "w") as file:
                json.dump(changed, file)
        module.fail_json(msg="it is bad here", outcome="rolled_back", checks=[], changes=[])
    if p["state"] == "pruned" and state["is_full"]:
        module.fail_json(msg="the disk is full")
    if p["state"] in ("promoted", "rolled_back") and not module.check_mode:
        state["live"] = "old" if p["state"] == "rolled_back" else "new"
        state["log"].append([p["state"], p["reason"], bool(p["fence"])])
    with open(path, "w") as file:
        json.dump(state, file)
    outcome = p["state"] if state["live"] != before else "unchanged"
    module.exit_json(changed=state["live"] != before, outcome=outcome, checks=[], changes=[], release={"id": "new", "path": None},
                     deployment={"live": {"slot": "green" if service["health"] else "blue", "release": state["live"]}}, deployments=[], lines=[])

main()
"""
NOBODY_ELSE = "Changed by another run since: none."
OPTIONS = {
    "deployment": deployment.ARGUMENTS,
    "release": release.ARGUMENTS,
    "deployment_info": deployment_info.ARGUMENTS,
}


class Fleet:
    """Three hosts that are this machine, each with a state and a lock of its own."""

    def __init__(self, folder: Path, collections: Path) -> None:
        self.folder, self.collections = folder, collections

    def deploy(
        self,
        *refusing: str,
        given: tuple[str, ...] = (),
        full: str = "",
        had: str = "",
        hotfix: str = "",
        cut: str = "",
        port: int = 3001,
    ) -> str:
        """:param full: host on which the removal of old releases fails
        :param had: host that serves it already
        :param hotfix: host to which somebody else deploys something before the refusal
        :param cut: host that cannot be reached once another one has refused it
        :param port: of the second slot, at which they are asked for their health; by default they are not
        """
        hosts: dict[str, dict[str, Any]] = {}
        for name in ("web-1", "web-2", "web-3"):
            place = self.folder / name
            place.mkdir()
            state = {
                "live": "new" if name == had else "old",
                "refuses": name in refusing,
                "is_full": name == full,
                "meanwhile": {str(self.folder / hotfix / "state"): "hotfix"} if hotfix else {},
                "log": [],
            }
            (place / "state").write_text(json.dumps(state))
            service = {
                "name": "shop",
                "manager": "pm2",
                "user": "shop",
                "path": "/srv/shop",
                "entry_point": "server.js",
                "port": 3000,
                "standby_name": "shop-new",
                "standby_port": port,
                "health": {"url": "http://127.0.0.1:{port}/health"} if port != 3001 else None,
                "source": {"repository": str(place), "branch": "main"},
                "deploy": {"strategy": "rolling", "proxy": None},
            }
            hosts[name] = {"ops_services": [service], "change_directory": str(place / "change")}
            if name == cut:  # what Ansible connects to is not there once this host has switched
                hosts[name] |= {
                    "ansible_connection": "{{ 'ssh' if __deploy_switched is defined else 'local' }}",
                    "ansible_host": "127.0.0.1",
                    "ansible_port": 9,
                }
        everything = {
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            "ops_system": {"name": "shop"},
            "record_directory": str(self.folder / "runs"),
        }
        (self.folder / "hosts.json").write_text(json.dumps({"all": {"hosts": hosts, "vars": everything}}))
        environment = {
            **os.environ,
            "ANSIBLE_CONFIG": str(self.folder / "ansible.cfg"),
            "ANSIBLE_COLLECTIONS_PATH": str(self.collections),
            "ANSIBLE_LOCAL_TEMP": str(self.folder / "local"),
            "ANSIBLE_REMOTE_TEMP": str(self.folder / "remote"),
            "ANSIBLE_BECOME_EXE": "env",
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_PIPELINING": "1",
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
        done = subprocess.run(
            command, cwd=self.folder, env=environment, capture_output=True, text=True, check=False, timeout=600
        )
        return " ".join((done.stdout + done.stderr).split())

    def state(self, name: str) -> dict[str, Any]:
        return json.loads((self.folder / name / "state").read_text())

    def lock(self, name: str) -> tuple[Any, int]:
        found = json.loads((self.folder / name / "change" / "lock.json").read_text())
        return found["owner"], found["number"]

    def serves(self) -> list[str]:
        return [self.state(name)["live"] for name in ("web-1", "web-2", "web-3")]


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the collection with its stand-ins, which all runs of this file take."""
    folder = tmp_path_factory.mktemp("collections")
    ours = folder / "ansible_collections" / "runbook" / "ops"
    kept = shutil.ignore_patterns("__pycache__", ".git", "tests", "docs", "molecule", "collections", ".*")
    for part in ("plugins", "roles", "playbooks", "meta"):
        shutil.copytree(ROOT / part, ours / part, ignore=kept)
    shutil.copy(ROOT / "galaxy.yml", ours)
    for name, options in OPTIONS.items():
        kinds = dict.fromkeys([*options, "service", "services"], "raw") | {"service": "dict"}
        (ours / f"plugins/modules/{name}.py").write_text(f"OPTIONS = {kinds!r}\n{STAND_IN}")
    return folder


@pytest.fixture
def fleet(tmp_path: Path, copied: Path) -> Fleet:
    return Fleet(tmp_path, copied)


def test_hosts_that_have_switched_go_back_where_a_later_one_refuses_also_where_one_of_them_cannot_be_reached(
    fleet: Fleet,
) -> None:
    said = fleet.deploy("web-3", cut="web-2")
    assert fleet.serves() == ["old", "new", "old"], said
    assert [line[:2] for line in fleet.state("web-1")["log"]] == [["promoted", ""], ["rolled_back", "web-3 refused it"]]
    assert all(fenced for _state, _reason, fenced in fleet.state("web-1")["log"])
    assert f"before: web-1. Still on the new one: web-2. {NOBODY_ELSE} Not touched: none" in said
    assert fleet.lock("web-1") == (None, 2)
    assert fleet.lock("web-3") == (None, 1), "the run ended before it gave its own lock back"
    assert "it is bad here" in said.rpartition("Report the failure that was recorded")[2]


def test_the_first_host_that_refuses_ends_it(fleet: Fleet) -> None:
    said = fleet.deploy("web-1")
    assert fleet.serves() == ["old", "old", "old"], said
    assert fleet.state("web-2")["log"] == []


@pytest.fixture
def asked() -> Iterator[tuple[int, list[str]]]:
    """Serve what is healthy, and note what is asked for."""
    paths: list[str] = []

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            paths.append(self.path)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1], paths
        server.shutdown()


def test_hosts_keep_what_they_have_where_that_is_asked_for_and_are_asked_where_their_live_slot_is(
    fleet: Fleet, asked: tuple[int, list[str]]
) -> None:
    port, paths = asked
    said = fleet.deploy("web-2", given=("-e", "deploy_together=false"), port=port)  # a text, not a truth value
    assert fleet.serves() == ["new", "old", "old"], said
    assert paths == ["/health"], said
    assert f"Still on the new one: web-1. {NOBODY_ELSE} Not touched: web-3" in said


def test_a_failure_after_the_switch_says_nothing_against_the_release_and_all_keep_it(fleet: Fleet) -> None:
    said = fleet.deploy(full="web-2")
    assert fleet.serves() == ["new", "new", "old"], said
    assert f"before: none. Still on the new one: web-1, web-2. {NOBODY_ELSE} Not touched: web-3" in said


def test_what_another_run_has_deployed_since_and_what_was_there_before_stay(fleet: Fleet) -> None:
    said = fleet.deploy("web-3", had="web-2", hotfix="web-1")
    assert fleet.serves() == ["hotfix", "new", "old"], said
    assert "before: none. Still on the new one: web-2. Changed by another run since: web-1. Not touched: none" in said
