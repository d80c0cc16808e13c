# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter backup_tasks: a thin door into module_utils."""

from __future__ import annotations

DOCUMENTATION = r"""
name: backup_tasks
short_description: Turn a system's description into the tasks that back it up
version_added: 0.2.0
author:
  - The runbook.ops founders (@runbook-ops)
description:
  - So the inventory alone says what is backed up on a host, where to, how it is proven, copied and pruned.
  - What C(ops_backups) says with C(made_by=collection) is taken, or with O(made_by=other) what is looked at of the others.
  - No secret is in the result, only its name, as P(runbook.ops.health_secrets#filter) returns it.
positional: _input, module
options:
  _input:
    description: The description, as the role P(runbook.ops.system#role) registers it.
    type: dict
    required: true
  module:
    description: The module whose tasks are wanted. All of them without it.
    type: str
    choices: [pg_backup, mongodb_backup, redis_backup, file_backup, backup_verify, backup_offsite, bucket_sync, backup_rotate]
  names:
    description: Names of those items of C(ops_backups) that are wanted. All of them without it.
    type: list
    elements: str
    default: []
  made_by:
    description: Whose backups. Those of scripts (V(other)) are only looked at, by M(runbook.ops.backup_verify).
    type: str
    choices: [collection, other]
    default: collection
"""

EXAMPLES = r"""
- name: Say which sets of backups this host has
  ansible.builtin.debug:
    msg: "{{ system_description | runbook.ops.backup_tasks('backup_verify') | map(attribute='set') }}"
"""

RETURN = r"""
_value:
  description:
    - The tasks, in the order in which they are done, each with C(job), the item of C(ops_backups) it belongs to; C(module); C(name), the
      thing that is backed up; C(set); the C(options) of the module; and C(secrets), the names of those that belong to options;
      C(source.access_key) is that of an option in an option.
  type: list
  elements: dict
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._backup_tasks import plan_looks, plan_tasks
from ansible_collections.runbook.ops.plugins.plugin_utils._filter import takes_description


@takes_description
def backup_tasks(
    description: Mapping[str, Any],
    module: str | None = None,
    names: Sequence[str] = (),
    made_by: str = "collection",
) -> list[dict[str, Any]]:
    """Return the tasks for ``description``."""
    return plan_looks(description, names) if made_by == "other" else plan_tasks(description, module, names)


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Callable[..., object]]:
        """Return the filters of this file by name."""
        return {"backup_tasks": backup_tasks}
