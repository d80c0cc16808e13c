# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small sample of the campaign of kills, on a private cluster of this machine."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

CAMPAIGN = Path(__file__).resolve().parents[1] / "campaign" / "repack_kills.py"


def test_what_a_killed_pg_repack_leaves_is_gone_after_the_next_run_and_nothing_of_one_that_works() -> None:
    argv = [sys.executable, str(CAMPAIGN), "--kills", "3", "--seed", "1", "--rows", "20000"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=300)
    summary = done.stdout.strip().splitlines()[-1] if done.stdout else ""
    assert re.match(r"kills: 3 \(1 pg_repack, 1 module, 1 tree\); .*; violations: 0; seed: 1$", summary), (
        done.stdout + done.stderr
    )
    assert done.returncode == 0
