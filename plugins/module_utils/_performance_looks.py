# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where counters stood at earlier looks, so that a review is one of a period. Private to this collection.

What is kept are counters, never figures: what a report draws stands in the records.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._units import human_duration

DAY = 86400.0
KEPT_DAYS = 100  # a quarter and a week
APART = 0.9 * DAY  # looks that follow each other faster are not kept
EARLY = 0.1  # a review of a week begins with a look of six days and eight hours ago too
Look = Mapping[str, Any]  # at, counters by name of the probe


def choose(
    looks: Sequence[Look], name: str, *, now: float, since_seconds: float
) -> tuple[Mapping[str, Any], float] | None:
    """Return the counters of ``name`` to compare with, and when they were read: nearest to the begin of the period, None without any."""
    own = sorted((one for one in looks if name in one["counters"] and one["at"] < now), key=lambda one: one["at"])
    if not own:
        return None
    due = [one for one in own if now - one["at"] >= since_seconds * (1 - EARLY)]
    found = due[-1] if due else own[0]
    return found["counters"][name], found["at"]


def keep(looks: Sequence[Look], counters: Mapping[str, Any], *, now: float) -> list[Look]:
    """Return the looks that are kept once ``counters`` were read: one a day of each probe, and none of years ago.

    One of later than ``now`` stays: another run has noted it meanwhile, or the clock went back.
    """
    young = [one for one in looks if abs(now - one["at"]) <= KEPT_DAYS * DAY]
    lately = [one for one in young if abs(now - one["at"]) < APART]
    new = {name: value for name, value in counters.items() if not any(name in one["counters"] for one in lately)}
    return [*young, {"at": now, "counters": new}] if new else young


def ago(seconds: float) -> str:
    """Return the length of a period in words."""
    return f"the last {human_duration(seconds)}"


def day_of(at: float) -> str:
    """Return a day, UTC."""
    return time.strftime("%Y-%m-%d", time.gmtime(at))
