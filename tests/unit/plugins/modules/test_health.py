# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module tells what the engine found, and fails only where it was asked to."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.runbook.ops.plugins.module_utils._health import fails

ROOT = Path(__file__).resolve().parents[4]


def run(**arguments):
    """Run the module as Ansible does once it has unpacked it."""
    done = subprocess.run(
        [sys.executable, "-m", "ansible_collections.runbook.ops.plugins.modules.health"],
        input=json.dumps({"ANSIBLE_MODULE_ARGS": arguments}),
        env={"PYTHONPATH": str(ROOT / "collections"), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, json.loads(done.stdout)


FULL = {"probe": "disk", "paths": ["/"], "percent": {"critical": 0}}


def test_a_bad_state_is_told_and_is_no_failure():
    code, result = run(probes=[FULL])
    assert (code, result["status"], result["changed"]) == (0, "critical", False)
    assert result["summary"]["critical"] == 1


def test_where_asked_to_it_fails_and_still_tells_everything():
    code, result = run(probes=[FULL, {"probe": "memory"}], fail_on="warning")
    assert (code, result["failed"], len(result["checks"])) == (1, True, 3)
    assert result["msg"].startswith("1 critical")


def test_a_wrong_option_fails_in_one_line():
    code, result = run(probes=[{"probe": "disk", "path": "/"}])
    assert (code, result["failed"]) == (1, True)
    assert result["msg"].startswith("probes[0] (disk): there is no option 'path', did you mean 'paths'?")


@pytest.mark.parametrize(
    ("status", "fail_on", "expected"),
    [
        ("critical", "critical", True),
        ("warning", "critical", False),
        ("warning", "warning", True),
        ("unknown", "warning", False),
        ("unknown", "unknown", True),
        ("ok", "unknown", False),
        ("critical", "never", False),
    ],
)
def test_it_fails_from_the_status_on_that_was_named(status, fail_on, expected):
    assert fails(status, fail_on) is expected
