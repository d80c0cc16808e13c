# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The mode ``compose`` of deploy_load.py beside it: the application of the benchmark, in containers."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmark"))
from deploy_compose import Bench

__all__ = ["Bench"]
