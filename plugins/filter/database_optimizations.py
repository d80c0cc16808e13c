# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter database_optimizations: a thin door into module_utils."""

from __future__ import annotations

DOCUMENTATION = r"""
name: database_optimizations
short_description: Say which PostgreSQL databases of a host are looked after, and how each is reached
version_added: 0.2.0
author:
  - The runbook.ops founders (@runbook-ops)
description:
  - Takes C(ops_databases) of this host. No secret is in the result, only its name, as P(runbook.ops.health_secrets#filter) returns it.
options:
  _input:
    description: The description, as the role P(runbook.ops.system#role) registers it.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Say which databases are looked after
  ansible.builtin.debug:
    msg: "{{ system_description | runbook.ops.database_optimizations | map(attribute='database') }}"
"""

RETURN = r"""
_value:
  description:
    - For each database its name as C(database), C(reach), the options of modules about its server, C(secret), the name of the password,
      C(indexes) that it is to have and C(unwanted) ones.
  type: list
  elements: dict
"""

from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._database_optimization import plan_databases
from ansible_collections.runbook.ops.plugins.plugin_utils._filter import takes_description


@takes_description
def database_optimizations(description: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the databases of ``description``."""
    return plan_databases(description)


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Callable[..., object]]:
        """Return the filters of this file by name."""
        return {"database_optimizations": database_optimizations}
