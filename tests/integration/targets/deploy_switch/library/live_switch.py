# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A door to the switch for its test: steps, one after the other, and after each who is live and who answers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple
from urllib.request import urlopen

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.runbook.ops.plugins.module_utils import _live
from ansible_collections.runbook.ops.plugins.module_utils._change_lock import Fence
from ansible_collections.runbook.ops.plugins.module_utils._deploy_paths import DeployPaths

FREE = Fence("", 0, "")
URL = "http://127.0.0.1:18100/"
SERVICE = {
    "name": "switch-test",
    "port": 18101,
    "standby_port": 18102,
    "deploy": {
        "url": URL,
        "address": "127.0.0.1",
        "smoke": [{"request": "/smoke", "status": 200, "json": None}],
        "version": {"url": "http://127.0.0.1:{port}/", "json": "version", "is": "tag"},
    },
}


class Slot(NamedTuple):
    name: str
    port: int
    label: str


class Release(NamedTuple):
    id: str
    ref: str
    commit: str = ""
    package_version: str = ""


SLOTS = {name: Slot(name, port, f"shop-{name}") for name, port in (("blue", 18101), ("green", 18102), ("dead", 18103))}


class Steps:
    """What a step may be."""

    def __init__(self, module, place):
        self.module, self.place = module, place
        self.paths = DeployPaths(SERVICE["name"], f"{place}/state/deploy", "/run/runbook-ops-test/deploy")
        self.paths.make()
        self.way = "socket"

    def wishes(self):
        service = {**SERVICE, "deploy": {**SERVICE["deploy"], "switch": self.way}}
        config, directory = f"{self.place}/nginx.conf", f"{self.place}/state/nginx"
        return _live.wishes_of(service, self.module)._replace(config=config, directory=directory, proof_seconds=1)

    def adopt(self, slot):
        return _live.adopt(self.paths, FREE, SLOTS[slot], "adopted")._asdict()

    def predict(self, slot):
        return _live.predict(self.paths, SLOTS[slot], self.wishes())

    def switch(self, slot, version=None):
        release = Release(f"release-{slot}", version or slot)
        done = _live.switch(self.paths, FREE, SLOTS[slot], release, self.wishes())
        return {"switched": done.switched, "way": done.way, "seconds": done.seconds, "actions": list(done.actions)}

    def killed(self, slot, at):
        """Switch in a process that dies at a moment; then finish what it has left."""
        pid = os.fork()
        if not pid:
            os.environ["RUNBOOK_OPS_KILL_AT"] = at
            try:
                self.switch(slot)
            finally:
                os._exit(0)
        signal = os.waitpid(pid, 0)[1]
        meanwhile = ask()
        settled = _live.settle(self.paths, FREE, self.wishes())
        return {"signal": signal, "meanwhile": meanwhile, "settled": settled.slot}

    def drain(self, slot, seconds):
        return _live.drain(self.paths, SLOTS[slot], self.wishes(), seconds=seconds)._asdict()

    def slow(self, slot):
        """Have a request under way in a slot."""
        self.slow_request = subprocess.Popen(["curl", "-sS", f"{URL}slow"], stdout=subprocess.PIPE)
        look = ["ss", "-Htn", "state", "established", f"( dport = :{SLOTS[slot].port} )"]
        while not subprocess.run(look, stdout=subprocess.PIPE, check=True).stdout:
            time.sleep(0.02)

    def slow_answer(self):
        return json.loads(self.slow_request.communicate(timeout=20)[0])["version"]

    def boot(self):
        """Lose what a boot loses, and make again what one makes."""
        units = "runbook-ops-live-switch-test-*"
        made = "/etc/tmpfiles.d/runbook-ops-live-switch-test.conf"
        sockets = [f"runbook-ops-live-switch-test-{name}.socket" for name in ("blue", "green")]
        for program in (
            ["systemctl", "stop", units],
            ["rm", "-r", "/run/runbook-ops-test"],
            ["systemd-tmpfiles", "--create", made],
            ["systemctl", "--quiet", "is-enabled", *sockets],
            ["systemctl", "start", *sockets],
        ):
            subprocess.run(program, check=True)

    def load(self, times, clients):
        """Switch often while clients ask."""
        end = f"{self.place}/end"
        program = [sys.executable, f"{self.place}/clients.py", "18100", str(clients), end]
        asking = subprocess.Popen(program, stdout=subprocess.PIPE)
        live = _live.read_live(self.paths).slot
        names = (["green", "blue"] if live == "blue" else ["blue", "green"]) * times
        began = time.monotonic()
        seconds = sorted(self.switch(name)["seconds"] for name in names[:times])
        spent = time.monotonic() - began
        Path(end).touch()
        found = json.loads(asking.communicate(timeout=60)[0])
        Path(end).unlink()
        return {**found, "median_seconds": seconds[times // 2], "longest_seconds": seconds[-1], "seconds": spent}

    def forget(self):
        return _live.forget(self.paths, FREE, self.wishes())


def ask():
    try:
        with urlopen(URL, timeout=5) as answer:
            return json.loads(answer.read())["version"]
    except OSError as exc:
        return str(exc)


def differences(step, expected):
    """Return where a step came to something else than was expected."""
    wrong = [key for key in ("live", "asked") if step[key] != expected["live"]]
    if bool(step["failed"]) != ("failed" in expected) or expected.get("failed", "") not in (step["failed"] or ""):
        wrong.append("failed")
    answer = step["answer"] if isinstance(step["answer"], dict) else {"answer": step["answer"]}
    return wrong + [key for key, value in expected.get("answer", {}).items() if answer.get(key) != value]


def main():
    module = AnsibleModule({"place": {"type": "path"}, "steps": {"type": "list", "elements": "dict"}})
    steps = Steps(module, module.params["place"])
    done = []
    for step in module.params["steps"]:
        given = dict(step)
        do, expected, steps.way = given.pop("do"), given.pop("expect", None), given.pop("way", "socket")
        answer = failed = None
        try:
            answer = getattr(steps, do)(**given)
        except _live.SwitchError as exc:
            failed = str(exc)
        live = _live.read_live(steps.paths)
        done.append({"step": step, "answer": answer, "failed": failed, "live": live and live.slot, "asked": ask()})
        if expected:
            done[-1]["wrong"] = differences(done[-1], expected)
    module.exit_json(changed=True, done=done, wrong=[step for step in done if step.get("wrong")])


if __name__ == "__main__":
    main()
