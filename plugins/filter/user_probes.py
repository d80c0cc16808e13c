# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter user_probes: a thin door into module_utils."""

from __future__ import annotations

DOCUMENTATION = r"""
name: user_probes
short_description: Turn a system's description into the probes of a review of its users
version_added: 0.2.0
author:
  - The runbook.ops founders (@runbook-ops)
description:
  - The system's own queries that name the playbook C(user_metrics), and how fast its endpoints answer.
  - Returns what O(runbook.ops.health#module:probes) takes. No secret is in it, only its name.
options:
  _input:
    description: The description, as the role P(runbook.ops.system#role) registers it.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Review the users
  runbook.ops.health:
    probes: "{{ system_description | runbook.ops.user_probes }}"
    secrets: "{{ system_description | runbook.ops.health_secrets }}"
"""

RETURN = r"""
_value:
  description: The probes.
  type: list
  elements: dict
"""

from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._user_plan import plan_users
from ansible_collections.runbook.ops.plugins.plugin_utils._filter import takes_description


@takes_description
def user_probes(description: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the probes for ``description``."""
    return plan_users(description)


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Callable[..., object]]:
        """Return the filters of this file by name."""
        return {"user_probes": user_probes}
