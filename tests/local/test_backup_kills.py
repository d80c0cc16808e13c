# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small sample of the campaign of kills, on a private cluster of this machine."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

CAMPAIGN = Path(__file__).resolve().parents[1] / "campaign" / "backup_kills.py"


def test_a_backup_killed_at_any_moment_is_never_listed_and_the_next_run_makes_a_whole_one() -> None:
    argv = [sys.executable, str(CAMPAIGN), "--kills", "6", "--seed", "1", "--rows", "100000"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=300)
    summary = done.stdout.strip().splitlines()[-1] if done.stdout else ""
    assert re.match(r"kills: 6 .* whole backups: \d+; violations: 0; seed: 1$", summary), done.stdout + done.stderr
    assert done.returncode == 0
