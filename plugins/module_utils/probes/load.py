# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How many processes want to run, for each processor. Private to this collection."""

from __future__ import annotations

import os
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._checks import judge_high, make_check
from ansible_collections.runbook.ops.plugins.module_utils._probe_options import Option, limits

SECTION = "Host"
OPTIONS = {
    "minutes": Option("int", "the average to take", 5, choices=(1, 5, 15)),
    "per_processor": Option("limits", "load divided by the number of processors", limits(2, 4)),
}


def measure(options: dict[str, Any]) -> dict[str, Any]:
    """Return ``load`` and ``processors``."""
    return {"load": os.getloadavg()[(1, 5, 15).index(options["minutes"])], "processors": os.cpu_count() or 1}


def judge(measured: dict[str, Any], options: dict[str, Any]) -> list[dict[str, Any]]:
    """Return one check."""
    share = round(measured["load"] / measured["processors"], 2)
    status, limit = judge_high(share, **options["per_processor"])
    return [
        make_check(
            "load",
            name=options["name"] or "Load",
            section=options["section"],
            status=status,
            value=share,
            unit="per processor",
            limit=limit,
            detail=f"{measured['load']:.2f} over {options['minutes']} min on {measured['processors']} processors",
            remedy="see who wants to run or waits for the disk: top -b -n 1 | head -20",
        )
    ]
