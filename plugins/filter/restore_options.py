# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter restore_options: a thin door into module_utils."""

from __future__ import annotations

DOCUMENTATION = r"""
name: restore_options
short_description: Take what the restore of a database needs out of a system's description
version_added: 0.2.0
author:
  - The runbook.ops founders (@runbook-ops)
description:
  - How a database of PostgreSQL is reached and proven, where its backups are, and which services write to it.
options:
  _input:
    description: The description, as the role P(runbook.ops.system#role) registers it.
    type: dict
    required: true
  database:
    description: Name of the database.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Say who writes to a database
  ansible.builtin.debug:
    msg: "{{ (system_description | runbook.ops.restore_options('owlivion_sync'))['writers'] }}"
"""

RETURN = r"""
_value:
  description:
    - C(reach), options of M(runbook.ops.pg_restore); C(secret), the name of its password in P(runbook.ops.health_secrets#filter);
      C(canaries); C(directory) and C(set) of its backups, null where the collection makes none; C(form), which is
      compression and encryption of them; C(writers) in the order in which
      they are started; C(unstoppable) ones.
  type: dict
"""

from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils import _restore_options
from ansible_collections.runbook.ops.plugins.plugin_utils._filter import takes_description


@takes_description
def restore_options(description: Mapping[str, Any], database: str) -> dict[str, Any]:
    """Return what the restore of ``database`` needs."""
    return _restore_options.restore_options(description, database)


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Callable[..., object]]:
        """Return the filters of this file by name."""
        return {"restore_options": restore_options}
