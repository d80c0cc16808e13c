# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tokens of a description are not shown, whatever fails and whoever shows it: with Ansible's own console, which tells all of a failed item."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
ANSIBLE = Path(sys.executable).with_name("ansible-playbook")
SERVICE = {
    "name": "app",
    "manager": "vercel",
    "vercel": {
        "project": "shop",
        "team": None,
        "token": "token-of-us",
        "api": "http://127.0.0.1:1",
        "bypass": "pass-of-us",
    },
    "health": {"url": "http://127.0.0.1:2/health", "status": 200},
    "deploy": {"strategy": "vercel", "url": "http://127.0.0.1:2/", "keep_standing": True, "smoke": [], "version": None},
}
LIMITS = {
    "watch_seconds": 1,
    "hotfix_watch_seconds": 1,
    "watch_requests": 1,
    "rollback_error_percent": 5,
    "rollback_slowdown_percent": 50,
}
JOURNAL = {
    "run": "a-killed-one",
    "kind": "deploy",
    "release": "dpl_2",
    "slot": "dpl_2",
    "back_release": "dpl_1",
    "back_slot": "dpl_1",
    "phase": "switching",
    "began_at": 1.0,
}
DESCRIPTION = {
    "system": {"name": "shop"},
    "services": [SERVICE],
    "deployment": LIMITS,
    "monitoring": {"alertmanager": {"url": None}},
    "run": {"id": "a-run", "playbook": "deploy"},
}
VARIABLES = {
    "change_fence": {"number": 0},
    "__change_lock": {"unfinished": [{"kind": "deploy", "name": "app", "run": "a-killed-one"}]},
}


@pytest.mark.parametrize("role", ["change", "deploy"])
def test_a_recovery_that_fails_shows_no_token(tmp_path: Path, role: str) -> None:
    directory = tmp_path / "deploy"
    (directory / "app").mkdir(parents=True)
    (directory / "app" / "journal.json").write_text(json.dumps(JOURNAL))
    tasks = [{"ansible.builtin.include_role": {"name": f"runbook.ops.{role}", "tasks_from": "recover"}}]
    (tmp_path / "play.yml").write_text(json.dumps([{"hosts": "all", "gather_facts": False, "tasks": tasks}]))
    (tmp_path / "ansible.cfg").write_text("")
    everything = {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "change_directory": str(tmp_path / "change"),
        "deploy_directory": str(directory),
        "system_description": DESCRIPTION,
        **(VARIABLES if role == "change" else {}),
    }
    environment = {
        **os.environ,
        "ANSIBLE_CONFIG": str(tmp_path / "ansible.cfg"),
        "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "collections"),
        "ANSIBLE_LOCAL_TEMP": str(tmp_path / "local"),
        "ANSIBLE_REMOTE_TEMP": str(tmp_path / "remote"),
        "ANSIBLE_NOCOLOR": "1",
    }
    command = [str(ANSIBLE), "-i", "web-1,", "-e", json.dumps(everything), "play.yml", "-v"]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=200
    )
    said = done.stdout + done.stderr
    assert "item=app" in said, said
    assert "Vercel did not answer" in said
    assert "token-of-us" not in said
    assert "pass-of-us" not in said
