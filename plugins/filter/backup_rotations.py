# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter backup_rotations: a thin door into module_utils."""

from __future__ import annotations

DOCUMENTATION = r"""
name: backup_rotations
short_description: Turn a system's description into the rotations of its backups
version_added: 0.2.0
author:
  - The runbook.ops founders (@runbook-ops)
description:
  - Returns one rotation for the files of each script, and one for each set of backups that this collection makes.
  - The role P(runbook.ops.backup_rotation#role) takes them to the module M(runbook.ops.backup_rotate).
positional: _input
options:
  _input:
    description: The description, as the role P(runbook.ops.system#role) registers it.
    type: dict
    required: true
  names:
    description: Names of those items of C(ops_backups) that are wanted. All of them without it.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: Show what is rotated on this host
  ansible.builtin.debug:
    msg: "{{ system_description | runbook.ops.backup_rotations | map(attribute='name') }}"
"""

RETURN = r"""
_value:
  description:
    - The rotations, each with C(name), C(directory), C(keep), C(max_age_seconds), C(min_size_bytes), and C(pattern), C(set) and
      C(minimum_verified) where they matter.
  type: list
  elements: dict
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._backup_rotations import plan_rotations
from ansible_collections.runbook.ops.plugins.plugin_utils._filter import takes_description


@takes_description
def backup_rotations(description: Mapping[str, Any], names: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Return the rotations that follow from ``description``."""
    return plan_rotations(description, names)


class FilterModule:
    """Offer the filter to Ansible."""

    def filters(self) -> dict[str, Callable[..., list[dict[str, Any]]]]:
        return {"backup_rotations": backup_rotations}
