# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small sample of the campaign of killed rotations."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

CAMPAIGN = Path(__file__).resolve().parents[1] / "campaign" / "rotation_kills.py"


def test_a_rotation_killed_at_any_moment_loses_nothing_that_was_to_stay_and_the_next_run_converges() -> None:
    argv = [sys.executable, str(CAMPAIGN), "--kills", "10", "--seed", "1"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=300)
    summary = done.stdout.strip().splitlines()[-1] if done.stdout else ""
    assert re.match(r"kills: 10 \(.*\); violations: 0; seed: 1$", summary), done.stdout + done.stderr
    assert done.returncode == 0
