# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Slots of Compose need Docker and an image that holds Node: the integration target of slots, on a host that has both."""

from __future__ import annotations

import subprocess
import sys

import pytest

from ._matrix import HOSTS, NAMES, ROOT


@pytest.mark.parametrize("name", [name for name in NAMES if name.removeprefix("demo-") == "lifeplatform"])
def test_good_releases_stand_beside_each_other_and_bad_ones_are_refused(name: str) -> None:
    subprocess.run([sys.executable, str(HOSTS), "up", name], check=True)
    overlay = subprocess.run(
        [sys.executable, str(HOSTS), "inventory", name], check=True, capture_output=True, text=True
    ).stdout.strip()
    run = ["ansible-playbook", "tests/integration/run.yml", "--inventory", overlay, "--extra-vars", "only=deploy_slots"]
    done = subprocess.run(run, cwd=ROOT, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr
    assert "compose" in done.stdout, "it must have found Docker"
