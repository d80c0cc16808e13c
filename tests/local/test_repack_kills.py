# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small sample of the campaign of kills, on a private cluster of this machine."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

CAMPAIGN = Path(__file__).resolve().parents[1] / "campaign" / "repack_kills.py"


@pytest.mark.skipif(
    not list(Path("/usr/lib/postgresql").glob("*/bin/pg_repack")), reason="pg_repack is not installed here"
)
def test_what_a_killed_pg_repack_leaves_is_gone_after_the_next_run_and_nothing_of_one_that_works() -> None:
    argv = [sys.executable, str(CAMPAIGN), "--kills", "2", "--seed", "1", "--rows", "60000"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=300)
    summary = done.stdout.strip().splitlines()[-1] if done.stdout else ""
    assert re.match(r"kills: 2 \(1 pg_repack, 1 module, 0 tree\); .*; violations: 0; seed: 1$", summary), (
        done.stdout + done.stderr
    )
    assert done.returncode == 0
