# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Integration targets that need Docker, and slots an image that holds Node too: on a host that has both."""

from __future__ import annotations

import subprocess
import sys

import pytest

from ._matrix import HOSTS, NAMES, ROOT

# What skips itself without Docker must not pass so: a step that only Docker can have.
TARGETS = {
    "deploy_slots": "compose",
    "docker_cleanup": "container runbook-cleanup-ended",
    "compose_image": "did not serve with the newer",
    "container_logs": "Let Docker read what it would be told",
}


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", [name for name in NAMES if name.removeprefix("demo-") == "lifeplatform"])
def test_what_needs_docker_does_what_it_says(name: str, target: str) -> None:
    subprocess.run([sys.executable, str(HOSTS), "up", name], check=True)
    overlay = subprocess.run(
        [sys.executable, str(HOSTS), "inventory", name], check=True, capture_output=True, text=True
    ).stdout.strip()
    run = ["ansible-playbook", "tests/integration/run.yml", "--inventory", overlay, "--extra-vars", f"only={target}"]
    done = subprocess.run(run, cwd=ROOT, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr
    assert TARGETS[target] in done.stdout, "it must have found Docker"
