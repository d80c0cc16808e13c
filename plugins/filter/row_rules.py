# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter row_rules: a thin door into module_utils."""

from __future__ import annotations

DOCUMENTATION = r"""
name: row_rules
short_description: Say which rows of a system's databases are removed when they are old
version_added: 0.2.0
author:
  - The runbook.ops founders (@runbook-ops)
description:
  - Takes C(ops_retention.rows) for the databases of this host. No secret is in the result, only its name, as
    P(runbook.ops.health_secrets#filter) returns it.
options:
  _input:
    description: The description, as the role P(runbook.ops.system#role) registers it.
    type: dict
    required: true
  tables:
    description: Names of the tables that are wanted. All that have a rule without it.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: Say what is removed
  ansible.builtin.debug:
    msg: "{{ system_description | runbook.ops.row_rules | map(attribute='table') }}"
"""

RETURN = r"""
_value:
  description:
    - For each rule C(database), C(table), C(column) and C(older_than) as M(runbook.ops.pg_row_retention) takes them, C(reach), its options
      about the server, and C(secret), the name of the password.
  type: list
  elements: dict
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._row_rules import plan_rules
from ansible_collections.runbook.ops.plugins.plugin_utils._filter import takes_description


@takes_description
def row_rules(description: Mapping[str, Any], tables: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Return the rules of ``description``."""
    return plan_rules(description, tables)


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Callable[..., object]]:
        """Return the filters of this file by name."""
        return {"row_rules": row_rules}
