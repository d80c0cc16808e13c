# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter cost_secrets: a thin door into module_utils."""

from __future__ import annotations

DOCUMENTATION = r"""
name: cost_secrets
short_description: Name the keys of a system's accounts for the module health
version_added: 0.2.0
author:
  - The runbook.ops founders (@runbook-ops)
description:
  - Returns what O(runbook.ops.health#module:secrets) takes for the probes of P(runbook.ops.cost_probes#filter).
options:
  _input:
    description: The description, as the role P(runbook.ops.system#role) registers it.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: See what the system costs
  runbook.ops.health:
    probes: "{{ system_description | runbook.ops.cost_probes }}"
    secrets: "{{ system_description | runbook.ops.cost_secrets }}"
"""

RETURN = r"""
_value:
  description: The secrets by name.
  type: dict
"""

from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils import _cost_plan
from ansible_collections.runbook.ops.plugins.plugin_utils._filter import takes_description


@takes_description
def cost_secrets(description: Mapping[str, Any]) -> dict[str, str]:
    """Return the secrets in ``description``."""
    return _cost_plan.cost_secrets(description)


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Callable[..., object]]:
        """Return the filters of this file by name."""
        return {"cost_secrets": cost_secrets}
