# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter log_rotations: a thin door into module_utils."""

from __future__ import annotations

DOCUMENTATION = r"""
name: log_rotations
short_description: Say which logs of a system are rotated on a host, and how
version_added: 0.2.0
author:
  - The runbook.ops founders (@runbook-ops)
description:
  - Takes C(ops_retention.logs), and C(ops_retention.application_logs) for what PM2 writes.
options:
  _input:
    description: The description, as the role P(runbook.ops.system#role) registers it.
    type: dict
    required: true
  homes:
    description: Home directories by account. PM2 keeps its logs there.
    type: dict
    default: {}
  groups:
    description: Groups by account, as which the logs of PM2 are rotated. The name of the account without it.
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: Say what is rotated
  ansible.builtin.debug:
    msg: "{{ system_description | runbook.ops.log_rotations | map(attribute='path') }}"
"""

RETURN = r"""
_value:
  description:
    - For each of them C(path), the C(days) that it is kept, C(max_size_bytes), the C(options) of logrotate, and C(user), whose logs these
      are where it is known.
  type: list
  elements: dict
"""

from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._log_rotation import plan_rotations
from ansible_collections.runbook.ops.plugins.plugin_utils._filter import takes_description


@takes_description
def log_rotations(
    description: Mapping[str, Any], homes: Mapping[str, str] | None = None, groups: Mapping[str, str] | None = None
) -> list[dict[str, Any]]:
    """Return the rotations of ``description``."""
    return plan_rotations(description, homes or {}, groups)


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Callable[..., object]]:
        """Return the filters of this file by name."""
        return {"log_rotations": log_rotations}
