# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a review of a system's users asks: its own questions, and how fast it answers them. Private to this collection."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._performance_plan import plan_performance
from ansible_collections.runbook.ops.plugins.module_utils._query_plan import Probes, queries

PLAYBOOK = "user_metrics"
DAY = 86400.0


def plan_users(system: Mapping[str, Any]) -> Probes:
    """Return the probes."""
    times = [probe for probe in plan_performance(system, since_seconds=DAY) if probe["probe"] == "latency"]
    return [*queries(system, PLAYBOOK), *times]
