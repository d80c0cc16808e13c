# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small sample of the campaign of damages, on a private cluster of this machine."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

CAMPAIGN = Path(__file__).resolve().parents[1] / "campaign" / "backup_damages.py"


def test_each_damage_is_found_and_nothing_damaged_is_restored() -> None:
    argv = [sys.executable, str(CAMPAIGN), "--damages", "40", "--seed", "3"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=300)
    summary = done.stdout.strip().splitlines()[-1] if done.stdout else ""
    assert re.match(r"damages: 40 \(.*\); found: 40; restored: 0; violations: 0; seed: 3$", summary), (
        done.stdout + done.stderr
    )
    assert done.returncode == 0
