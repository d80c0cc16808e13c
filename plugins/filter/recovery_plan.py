# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter recovery_plan: a thin door into module_utils."""

from __future__ import annotations

DOCUMENTATION = r"""
name: recovery_plan
short_description: Turn a system's description into what brings it back on a host from nothing
version_added: 0.2.0
author:
  - The runbook.ops founders (@runbook-ops)
description:
  - Says what is installed, fetched, restored, started and proven, and what is left out and why.
  - A description by which something would not come back is an error that names it, such as a database that no backup off the host
    holds. No secret is in the result, only its name, as P(runbook.ops.health_secrets#filter) returns it.
options:
  _input:
    description: The description, as the role P(runbook.ops.system#role) registers it.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Say what a drill leaves out
  ansible.builtin.debug:
    msg: "{{ (system_description | runbook.ops.recovery_plan)['left_out'] }}"
"""

RETURN = r"""
_value:
  description:
    - C(packages) and C(npm) to install, C(accounts) and C(roles) to make, backups to fetch (C(fetches)), C(paths) and C(databases) to
      restore, services to start C(first) and C(then), C(names) that mean a drill host on it, C(probes) that prove it, and C(left_out).
  type: dict
"""

from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._recovery_plan import plan_recovery
from ansible_collections.runbook.ops.plugins.plugin_utils._filter import takes_description


@takes_description
def recovery_plan(description: Mapping[str, Any]) -> dict[str, Any]:
    """Return the plan for ``description``."""
    return plan_recovery(description)


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Callable[..., object]]:
        """Return the filters of this file by name."""
        return {"recovery_plan": recovery_plan}
