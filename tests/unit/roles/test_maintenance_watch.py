# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is watched once users are back from a maintenance window: a real run, on this machine, in a temporary directory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[3]
ANSIBLE = Path(sys.executable).with_name("ansible-playbook")
PLAYBOOK = """
- name: Watch
  hosts: localhost
  gather_facts: false
  tasks:
    - name: Read the log, as a watch did that was killed
      runbook.ops.log_scan:
        logs: "{{ __maintenance_window_logs }}"
        state_path: "{{ __maintenance_window_seen_to }}"
    - name: Answer with the page
      ansible.builtin.command: cp log.after log
      changed_when: false
    - name: Watch
      ansible.builtin.include_role: {name: runbook.ops.maintenance_window, tasks_from: watch}
    - name: See how often it looked
      ansible.builtin.assert:
        that: __maintenance_window_looked['attempts'] == 2
"""


def line(seconds_ago: float, status: int) -> str:
    at = time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(time.time() - seconds_ago))
    return f'203.0.113.9 - - [{at}] "GET / HTTP/1.1" {status} 5 "-" "agent"\n'


def test_a_watch_that_was_killed_does_not_end_the_next_one(tmp_path: Path) -> None:
    before, failed = line(7200, 200) * 100, line(3600, 503) * 100
    (tmp_path / "log").write_text(before)
    (tmp_path / "log.after").write_text(before + failed)
    (tmp_path / "watch.yml").write_text(PLAYBOOK)
    (tmp_path / "ansible.cfg").write_text("")  # not this machine's own
    log = {"name": "access", "path": str(tmp_path / "log"), "format": "combined", "failed_percent": {"critical": 5}}
    variables = {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "maintenance_window_name": "shop",
        "maintenance_window_run": "run",
        "maintenance_window_by": "maria",
        "maintenance_window_described": {},
        "maintenance_window_queues": [],
        "maintenance_window_secrets": {},
        "maintenance_window_services": [],
        "maintenance_window_stop": [],
        "maintenance_window_tests": [],
        "maintenance_window_url": "",
        "maintenance_window_alertmanager": "",
        "maintenance_window_logs": [log],
        "maintenance_window_watch_seconds": 1,
        "maintenance_window_watch_every_seconds": 1,
        "__maintenance_window_logs": [log],
        "__maintenance_window_seen_to": str(tmp_path / "watched.json"),
    }
    (tmp_path / "variables.json").write_text(json.dumps(variables))
    environment = {
        **os.environ,
        "ANSIBLE_CONFIG": str(tmp_path / "ansible.cfg"),
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "collections"),
        "ANSIBLE_LOCAL_TEMP": str(tmp_path / "local"),
        "ANSIBLE_REMOTE_TEMP": str(tmp_path / "remote"),
        "ANSIBLE_NOCOLOR": "1",
    }
    command = [str(ANSIBLE), "-i", "localhost,", "watch.yml", "-e", "@variables.json"]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert not (tmp_path / "watched.json").exists()
