# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter cost_probes: a thin door into module_utils."""

from __future__ import annotations

DOCUMENTATION = r"""
name: cost_probes
short_description: Turn a system's description into the probes of a review of costs
version_added: 0.2.0
author:
  - The runbook.ops founders (@runbook-ops)
description:
  - The accounts at AWS, and the system's own queries that name the playbook C(cost_review).
  - Returns what O(runbook.ops.health#module:probes) takes. No secret is in it, only its name.
options:
  _input:
    description: The description, as the role P(runbook.ops.system#role) registers it.
    type: dict
    required: true
  accounts:
    description: Whether the accounts are asked too. Each answer is paid for, so one host asks.
    type: bool
    default: true
  entry:
    description: The entry of the calendar that the run is for. None by hand.
    type: str
    default: ''
"""

EXAMPLES = r"""
- name: See what the system costs
  runbook.ops.health:
    probes: "{{ system_description | runbook.ops.cost_probes }}"
    secrets: "{{ system_description | runbook.ops.cost_secrets }}"
"""

RETURN = r"""
_value:
  description: The probes.
  type: list
  elements: dict
"""

from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._cost_plan import plan_costs
from ansible_collections.runbook.ops.plugins.plugin_utils._filter import takes_description


@takes_description
def cost_probes(description: Mapping[str, Any], accounts: bool = True, entry: str = "") -> list[dict[str, Any]]:
    """Return the probes for ``description``."""
    return plan_costs(description, accounts=accounts, entry=entry)


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Callable[..., object]]:
        """Return the filters of this file by name."""
        return {"cost_probes": cost_probes}
