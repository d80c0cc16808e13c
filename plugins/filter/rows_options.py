# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter rows_options: a thin door into module_utils."""

from __future__ import annotations

DOCUMENTATION = r"""
name: rows_options
short_description: Take what an export or import of rows needs out of a system's description
version_added: 0.2.0
author:
  - The runbook.ops founders (@runbook-ops)
description:
  - How a database of PostgreSQL is reached, where its backups are, and which rows are those of a tenant.
options:
  _input:
    description: The description, as the role P(runbook.ops.system#role) registers it.
    type: dict
    required: true
  database:
    description: Name of the database.
    type: str
    required: true
  tenant:
    description: The value by which C(ops_databases[].tenants) names the tenant.
    type: raw
    default: ''
"""

EXAMPLES = r"""
- name: Say which rows are those of a tenant
  ansible.builtin.debug:
    msg: "{{ (system_description | runbook.ops.rows_options('newsletter', 7))['rows'] }}"
"""

RETURN = r"""
_value:
  description:
    - C(reach), options of M(runbook.ops.pg_export); C(secret), the name of its password in P(runbook.ops.health_secrets#filter);
      C(directory) and C(set) of its backups, null where the collection makes none; C(encryption) of them, empty where they have none;
      C(rows), empty without a tenant.
  type: dict
"""

from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils import _rows_options
from ansible_collections.runbook.ops.plugins.plugin_utils._filter import takes_description


@takes_description
def rows_options(description: Mapping[str, Any], database: str, tenant: Any = "") -> dict[str, Any]:
    """Return what an export or import of rows of ``database`` needs."""
    return _rows_options.rows_options(description, database, tenant)


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Callable[..., object]]:
        """Return the filters of this file by name."""
        return {"rows_options": rows_options}
