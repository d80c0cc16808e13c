# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter worst_status: a thin door into module_utils."""

from __future__ import annotations

DOCUMENTATION = r"""
name: worst_status
short_description: Give the worst status among checks
version_added: 0.1.0
author:
  - The runbook.ops founders (@runbook-ops)
description: From good to bad V(ok), V(unknown), V(warning), V(critical). An empty list is V(ok).
options:
  _input:
    description: Checks, such as M(runbook.ops.health) returns.
    type: list
    elements: dict
    required: true
"""

EXAMPLES = r"""
- name: Show how bad it is
  ansible.builtin.debug:
    msg: "{{ report['checks'] | runbook.ops.worst_status }}"
"""

RETURN = r"""
_value:
  description: The worst status.
  type: str
"""

from collections.abc import Callable

from ansible.errors import AnsibleFilterError
from ansible_collections.runbook.ops.plugins.module_utils._checks import worst_status


def filter_worst_status(checks: list[dict[str, object]]) -> str:
    """Return the worst status among ``checks``."""
    try:
        return worst_status(checks)
    except (KeyError, TypeError, ValueError) as exc:
        raise AnsibleFilterError("runbook.ops.worst_status: takes the list of checks that a module returned") from exc


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Callable[..., object]]:
        """Return the filters of this file by name."""
        return {"worst_status": filter_worst_status}
