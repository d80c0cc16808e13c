# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter recovery_roles: a thin door into module_utils."""

from __future__ import annotations

DOCUMENTATION = r"""
name: recovery_roles
short_description: Say which roles of PostgreSQL a recovered system needs
version_added: 0.2.0
author:
  - The runbook.ops founders (@runbook-ops)
description:
  - Those of C(ops_recovery), with their passwords, and the owners of the databases. The result holds secrets.
options:
  _input:
    description: The description, as the role P(runbook.ops.system#role) registers it.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Make the roles
  runbook.ops.pg_role:
    roles: "{{ system_description | runbook.ops.recovery_roles }}"
"""

RETURN = r"""
_value:
  description: The roles, each with C(name) and C(password), which is null where it logs in without one.
  type: list
  elements: dict
"""

from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._recovery_plan import recovery_roles as roles_of
from ansible_collections.runbook.ops.plugins.plugin_utils._filter import takes_description


@takes_description
def recovery_roles(description: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the roles for ``description``."""
    return roles_of(description)


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Callable[..., object]]:
        """Return the filters of this file by name."""
        return {"recovery_roles": recovery_roles}
