# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a review of costs asks: accounts at AWS once, and the system's own questions of each host's databases. Private to this collection."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._query_plan import Probes, queries
from ansible_collections.runbook.ops.plugins.module_utils._schedule import slug_of

PLAYBOOK = "cost_review"
AWS_SECONDS = 30


def plan_costs(system: Mapping[str, Any], *, accounts: bool = True, entry: str = "") -> Probes:
    """Return the probes.

    :param accounts: whether accounts are asked too: each answer is paid for, so one host asks
    :param entry: the entry of the calendar that this run is for; none by hand
    """
    only = (system.get("costs") or {}).get("entry")
    asked = _accounts(system) if accounts and (not entry or not only or slug_of(only) == entry) else []
    return [
        *(
            {
                "probe": "aws_cost",
                "name": one["name"],
                "access_key": f"cost:{one['name']}:access_key",
                "secret_key": f"cost:{one['name']}:secret_key",
                **{key: one[key] for key in ("endpoint", "budget") if one.get(key)},
                "timeout_seconds": AWS_SECONDS,
            }
            for one in asked
        ),
        *queries(system, PLAYBOOK),
    ]


def cost_secrets(system: Mapping[str, Any]) -> dict[str, str]:
    """Return the keys of the accounts, by the names that the probes know them by."""
    return {f"cost:{one['name']}:{key}": one[key] for one in _accounts(system) for key in ("access_key", "secret_key")}


def _accounts(system: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    costs = system.get("costs") or {}
    return [one for one in costs.get("accounts") or [] if one.get("access_key") and one.get("secret_key")]
