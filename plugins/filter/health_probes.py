# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter health_probes: a thin door into module_utils."""

from __future__ import annotations

DOCUMENTATION = r"""
name: health_probes
short_description: Turn a system's description into the probes that look at it
version_added: 0.1.0
author:
  - The runbook.ops founders (@runbook-ops)
description:
  - So the inventory alone says what is looked at, with which limits.
  - Returns what O(runbook.ops.health#module:probes) takes. No secret is in it, only its name.
options:
  _input:
    description: The description, as the role P(runbook.ops.system#role) registers it.
    type: dict
    required: true
  topics:
    description:
      - Which parts to look at, of V(services), V(endpoints), V(databases), V(redis), V(queues), V(storage), V(certificates),
        V(host), V(logs), V(backups), V(monitoring), V(dependencies), V(probes) and V(updates).
      - Without it all but V(updates), which asks the package manager.
    type: list
    elements: str
"""

EXAMPLES = r"""
- name: Look at services and endpoints only
  runbook.ops.health:
    probes: "{{ system_description | runbook.ops.health_probes(['services', 'endpoints']) }}"
"""

RETURN = r"""
_value:
  description: The probes, in the order of a morning checklist.
  type: list
  elements: dict
"""

from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._health_plan import plan_probes
from ansible_collections.runbook.ops.plugins.plugin_utils._filter import takes_description


@takes_description
def health_probes(description: Mapping[str, Any], topics: list[str] | None = None) -> list[dict[str, Any]]:
    """Return the probes for ``description``."""
    return plan_probes(description, topics)


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Callable[..., object]]:
        """Return the filters of this file by name."""
        return {"health_probes": health_probes}
