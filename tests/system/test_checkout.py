# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A checkout works as it stands: by hand, and as a project of ansible-runner, which is what AWX runs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import ansible_runner
import pytest

from .conftest import BIN, ROOT, Run

PLAYBOOKS = sorted(path.stem for path in (ROOT / "playbooks").glob("*.yml"))
INVENTORIES = sorted(path.name for path in (ROOT / "inventories").iterdir() if path.is_dir())


@pytest.mark.parametrize("inventory", INVENTORIES)
def test_each_playbook_fits_each_inventory(run: Run, inventory: str) -> None:
    # In one run: to start takes longer than to check.
    playbooks = [f"playbooks/{playbook}.yml" for playbook in PLAYBOOKS]
    told = run("ansible-playbook", *playbooks, "-i", f"inventories/{inventory}", "--syntax-check", cwd=ROOT)
    assert [line for line in told.splitlines() if line] == [f"playbook: {playbook}" for playbook in playbooks]


@pytest.fixture(scope="module")
def job(overlay: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Check the health of the test host as a job: the checkout is the project, and both inventories are the job's."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
    return ansible_runner.run(
        private_data_dir=str(tmp_path_factory.mktemp("job")),
        project_dir=str(ROOT),
        playbook="playbooks/health_check.yml",
        inventory=[str(ROOT / "inventories" / "owlivion"), str(overlay)],
        envvars={
            "PATH": f"{BIN}:{environment.get('PATH', os.defpath)}",
            "ANSIBLE_STDOUT_CALLBACK": "runbook.ops.runbook",
        },
        cmdline="--check",
        timeout=300,
        quiet=True,
    )


def test_a_job_ends_as_its_exit_code_says(job: Any) -> None:
    shown = job.stdout.read()
    assert (job.status, job.rc) in (("successful", 0), ("failed", 2)), shown
    counted = job.stats or {}
    assert not counted.get("dark"), shown
    assert bool(counted.get("failures")) == (job.status == "failed"), shown


def test_the_checks_are_in_the_events_of_a_job(job: Any) -> None:
    results = [event["event_data"].get("res") or {} for event in job.events if event["event"].startswith("runner_on_")]
    found = [check for result in results for check in result.get("checks") or []]
    assert found, job.stdout.read()
    assert {"id", "name", "status", "value", "limit", "remedy"} <= found[0].keys()


def test_a_job_shows_plain_lines_and_a_verdict(job: Any) -> None:
    shown = job.stdout.read()
    assert "\x1b" not in shown
    assert "Checks" in shown
    assert "owlivion-1  " in shown
