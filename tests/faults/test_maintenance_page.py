# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Users see the maintenance page, and see the application again; nothing else of the host changes."""

from __future__ import annotations

import os
import subprocess

import pytest

from ._matrix import NAMES, ROOT, Patient, admit

# How the system's own URL answers a user: the status, and when to come back.
ASK = "curl -sk -o /dev/null -w '%{{http_code}} %header{{retry-after}}' --resolve {name}:443:127.0.0.1 https://{name}{path}"
CONFIGURED = "find /etc/nginx -type f -exec sha256sum {} + | sort; ls /var/www/*.flag 2>/dev/null || true"


@pytest.fixture(scope="module", params=NAMES)
def patient(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Patient:
    return admit(request.param, tmp_path_factory.mktemp("admitted"))


def play(patient: Patient, state: str, *options: str) -> tuple[int, str]:
    inventories = ("-i", f"inventories/{patient.system.system}", "-i", patient.inventory)
    done = subprocess.run(
        [
            "ansible-playbook",
            "playbooks/maintenance_mode.yml",
            *inventories,
            "-e",
            f"maintenance_mode_state={state}",
            *options,
        ],
        cwd=ROOT,
        env=os.environ | {"NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def ask(patient: Patient, path: str = "/") -> list[str]:
    name = patient.system.description()["ops_system"]["url"].removeprefix("https://")
    return patient.run(ASK.format(name=name, path=path)).split()


def test_users_see_the_page_and_then_the_application_again(patient: Patient) -> None:
    before = patient.run(CONFIGURED)
    usual = ask(patient)[0]
    assert usual != "503"
    code, text = play(patient, "shown", "--check", "--diff")
    assert code == 0, text
    assert patient.run(CONFIGURED) == before
    try:
        code, text = play(patient, "shown")
        assert code == 0, text
        assert ask(patient)[0] == "503"
        described = patient.system.description()["ops_maintenance_mode"]
        if described.get("proxy"):
            assert ask(patient) == ["503", "600"]
            assert ask(patient, described["open_paths"][0])[0] == "200"
        code, text = play(patient, "shown")
        assert "1 change" not in text, text
    finally:
        code, text = play(patient, "absent")
    assert code == 0, text
    assert ask(patient)[0] == usual
    assert patient.run(CONFIGURED) == before


def test_without_a_wish_nothing_changes(patient: Patient) -> None:
    before = patient.run(CONFIGURED)
    code, text = play(patient, "")
    assert code != 0
    assert "Say -e maintenance_mode_state=shown, ready or absent. Nothing was changed." in text
    assert patient.run(CONFIGURED) == before
