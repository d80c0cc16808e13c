# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter evening_probes: a thin door into module_utils."""

from __future__ import annotations

DOCUMENTATION = r"""
name: evening_probes
short_description: Turn a system's description into the probes of the evening
version_added: 0.2.0
author:
  - The runbook.ops founders (@runbook-ops)
description:
  - Services and backups as P(runbook.ops.health_probes#filter) looks at them, the share of failed requests in each access log, and
    the system's own queries that name the playbook C(evening_review).
  - Returns what O(runbook.ops.health#module:probes) takes. No secret is in it, only its name.
options:
  _input:
    description: The description, as the role P(runbook.ops.system#role) registers it.
    type: dict
    required: true
  since_seconds:
    description: How far back error rates go.
    type: float
    default: 86400
"""

EXAMPLES = r"""
- name: Review the day
  runbook.ops.health:
    probes: "{{ system_description | runbook.ops.evening_probes }}"
"""

RETURN = r"""
_value:
  description: The probes, in the order of an evening checklist.
  type: list
  elements: dict
"""

from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._evening_plan import plan_evening
from ansible_collections.runbook.ops.plugins.plugin_utils._filter import takes_description


@takes_description
def evening_probes(description: Mapping[str, Any], since_seconds: float = 86400) -> list[dict[str, Any]]:
    """Return the probes for ``description``."""
    return plan_evening(description, since_seconds=since_seconds)


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Callable[..., object]]:
        """Return the filters of this file by name."""
        return {"evening_probes": evening_probes}
