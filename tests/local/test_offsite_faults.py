# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small sample of the faults of object storage, and of kills while backups are copied there. It installs moto, a stand-in for S3."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

CAMPAIGN = Path(__file__).resolve().parents[1] / "campaign" / "offsite_faults.py"


def test_storage_that_fails_and_runs_that_are_killed_leave_nothing_half_listed() -> None:
    argv = [sys.executable, str(CAMPAIGN), "--faults", "6", "--kills", "6", "--seed", "3"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=600)
    summary = done.stdout.strip().splitlines()[-1] if done.stdout else ""
    assert re.match(r"faults: 6; kills: 6 \(\d in time\); violations: 0; seed: 3; ", summary), done.stdout + done.stderr
    assert done.returncode == 0
