# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter performance_probes: a thin door into module_utils."""

from __future__ import annotations

DOCUMENTATION = r"""
name: performance_probes
short_description: Turn a system's description into the probes of a performance review
version_added: 0.2.0
author:
  - The runbook.ops founders (@runbook-ops)
description:
  - Databases, Redis servers, queues, applications of PM2, endpoints, and the system's own queries that name the playbook
    C(performance_review).
  - Returns what O(runbook.ops.performance_scan#module:probes) takes. No secret is in it, only its name.
options:
  _input:
    description: The description, as the role P(runbook.ops.system#role) registers it.
    type: dict
    required: true
  since_seconds:
    description: How far back jobs of queues count.
    type: float
    default: 604800
"""

EXAMPLES = r"""
- name: Review the week
  runbook.ops.performance_scan:
    probes: "{{ system_description | runbook.ops.performance_probes }}"
"""

RETURN = r"""
_value:
  description: The probes, databases first.
  type: list
  elements: dict
"""

from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._performance_plan import plan_performance
from ansible_collections.runbook.ops.plugins.plugin_utils._filter import takes_description


@takes_description
def performance_probes(description: Mapping[str, Any], since_seconds: float = 604800) -> list[dict[str, Any]]:
    """Return the probes for ``description``."""
    return plan_performance(description, since_seconds=since_seconds)


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Callable[..., object]]:
        """Return the filters of this file by name."""
        return {"performance_probes": performance_probes}
