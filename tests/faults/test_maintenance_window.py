# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A maintenance window whose controller is killed: the host closes it when its time is over, or the next run does at once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ._kill import kill_at
from ._matrix import HOSTS, NAMES, ROOT

STATE = "/var/lib/runbook-ops"
SEE = f"""
curl -sk -o /dev/null -w '%{{http_code}} ' --resolve yourdomain.com:443:127.0.0.1 https://yourdomain.com/api/health
docker exec redis redis-cli hexists bull:embeddings:meta paused
docker inspect -f '{{{{.State.Status}}}}' worker-container
test -e {STATE}/maintenance_window/journal.json && echo open || echo closed
systemctl is-active runbook-ops-maintenance-window.timer || true
"""
WELL, IN_THE_MIDDLE = ["200", "0", "running", "closed", "inactive"], ["503", "1", "exited", "open", "active"]
PAST = f"""
import json
path = "{STATE}/maintenance_window/journal.json"
window = json.load(open(path))
window["ends"] = {{"boot": window["ends"]["boot"], "ticks": 0, "at": 0}}
json.dump(window, open(path, "w"))
"""
VARIABLES = {
    "ops_queues": [{"name": "embeddings", "library": "bullmq", "redis": "redis", "service": "worker"}],
    "maintenance_window_drain_seconds": 1,
    "maintenance_window_drain_required": False,
    "backup_unless_younger_than": "30d",
    "maintenance_window_watch_seconds": 0,
}
Run = Callable[[str], str]


@pytest.fixture(scope="module", params=[name for name in NAMES if name.removeprefix("demo-") == "mediasearch"])
def host(request: pytest.FixtureRequest) -> str:
    subprocess.run([sys.executable, str(HOSTS), "up", request.param], check=True)
    return request.param


@pytest.fixture(scope="module")
def run(host: str) -> Run:
    def run(script: str) -> str:
        command = [sys.executable, str(HOSTS), "ssh", host, "sudo", "bash", "-s"]
        done = subprocess.run(command, input=script, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def command(host: str, playbook: str, **variables: object) -> list[str]:
    asked = [sys.executable, str(HOSTS), "inventory", host]
    inventory = subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip()
    inventories = ["-i", "inventories/mediasearch", "-i", inventory]
    return ["ansible-playbook", f"playbooks/{playbook}.yml", *inventories, "-e", json.dumps({**VARIABLES, **variables})]


def test_a_killed_window_is_closed_by_the_host_and_by_the_next_run(host: str, run: Run, tmp_path: Path) -> None:
    work = tmp_path / "work.yml"
    work.write_text("- name: Wait to be killed\n  ansible.builtin.wait_for: {timeout: 300}\n", encoding="utf-8")
    assert run(SEE).split() == WELL

    kill_at(
        command(host, "maintenance_window", maintenance_window_tasks=str(work)), "Wait to be killed", after_seconds=1
    )
    assert run(SEE).split() == IN_THE_MIDDLE
    run(f"cp {STATE}/maintenance_window/journal.json /root/journal.json")
    run("systemctl start runbook-ops-maintenance-window.service")
    assert run(SEE).split() == IN_THE_MIDDLE, "the host closed it before its time"

    run(f"python3 - <<'END'\n{PAST}\nEND\nsystemctl start runbook-ops-maintenance-window.service")
    assert run(SEE).split() == WELL
    assert json.loads(run(f"cat {STATE}/maintenance_window/last.json"))["closed_by"] == "the host itself"
    assert run("ls /etc/systemd/system /usr/local/lib/runbook-ops | grep -c maintenance.window || true").strip() == "0"

    # The same journal once more, as of a run whose host had no time to look: the next change closes it first.
    run(
        f"mv /root/journal.json {STATE}/maintenance_window/; touch /var/www/maintenance.flag; docker stop -t 1 worker-container"
    )
    done = subprocess.run(
        command(host, "service", service_name="api", service_state="started"),
        cwd=ROOT,
        env=os.environ | {"NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "the maintenance window ends" in done.stdout
    assert run(SEE).split() == WELL


# Who asks each tenth of a second, and notes what is answered.
USER = """
touch /root/user.asks
cat >/root/user.sh <<'END'
while [ -e /root/user.asks ]; do
  curl -sk -m 5 -o /dev/null -w '%{http_code}\\n' --resolve plugspace.io:443:127.0.0.1 https://plugspace.io/api/health; sleep 0.1
done >/root/user.says
END
setsid bash /root/user.sh </dev/null >/dev/null 2>&1 &
"""
PM2 = "runuser -u plugspace -- env HOME=/home/plugspace pm2"
STATES = (
    f"{PM2} jlist | python3 -c 'import json, sys;"
    """ print(*sorted({(one["name"], one["pm2_env"]["status"]) for one in json.load(sys.stdin)}))'"""
)


@pytest.mark.parametrize("name", [name for name in NAMES if name.removeprefix("demo-") == "plugspace"])
def test_applications_end_and_those_that_ran_are_healthy_before_users_come_back(name: str, tmp_path: Path) -> None:
    subprocess.run([sys.executable, str(HOSTS), "up", name], check=True)

    def on(script: str) -> str:
        done = subprocess.run(
            [sys.executable, str(HOSTS), "ssh", name, "sudo", "bash", "-s"],
            input=script,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    asked = [sys.executable, str(HOSTS), "inventory", name]
    overlay = subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip()
    work = tmp_path / "work.yml"
    work.write_text("- name: See what runs\n  ansible.builtin.script: {cmd: see.sh}\n", encoding="utf-8")
    (tmp_path / "see.sh").write_text(f"#!/bin/bash\n{STATES} >/root/states\n", encoding="utf-8")
    given = {
        "maintenance_window_tasks": str(work),
        "maintenance_window_stop": ["plugspace-api", "plugspace-voice"],
        "backup_unless_younger_than": "30d",
        "maintenance_window_watch_seconds": 4,
        "maintenance_window_watch_every_seconds": 2,
    }
    on(f"{PM2} stop plugspace-voice </dev/null >/dev/null\n{USER}")  # on purpose: it must not run afterwards
    try:
        done = subprocess.run(
            [
                "ansible-playbook",
                "playbooks/maintenance_window.yml",
                "-i",
                "inventories/plugspace",
                "-i",
                overlay,
                "-e",
                json.dumps(given),
            ],
            cwd=ROOT,
            env=os.environ | {"NO_COLOR": "1"},
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        # What was stopped on purpose does not run, and that is all the run complains of.
        assert "checks are critical: plugspace-voice, plugspace-voice health\n" in done.stdout, done.stdout
        assert "Count those of the whole time" in done.stdout, "nobody watches whether users get what they ask for"
        assert "● plugspace-api, plugspace-voice" not in done.stdout, "it says that it stopped what did not run"
        assert on("cat /root/states").split("\n")[0] == (
            "('plugspace-api', 'stopped') ('plugspace-voice', 'stopped')"
        ), done.stdout
        assert on(STATES).strip() == "('plugspace-api', 'online') ('plugspace-voice', 'stopped')"
        on("rm /root/user.asks; sleep 1")
        told = on("cat /root/user.says").split()
        first = told.index("503")
        last = len(told) - told[::-1].index("503")
        assert set(told[first:last]) == {"503"}, "from the page's first answer to its last there is nothing else"
        assert set(told[:first] + told[last:]) == {"200"}, "users met an application that did not answer yet"
        assert told[first:last]
        assert told[-1] == "200"
    finally:
        on(f"rm -f /root/user.* /root/states; {PM2} restart plugspace-voice; {PM2} reset all")
