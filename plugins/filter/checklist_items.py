# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter checklist_items: a thin door into module_utils."""

from __future__ import annotations

DOCUMENTATION = r"""
name: checklist_items
short_description: List what a system has to be looked after for again and again
version_added: 0.2.0
author:
  - The runbook.ops founders (@runbook-ops)
description:
  - What C(ops_checklist) says, what follows from backups, certificates and secrets that are rotated, and what every system needs.
  - Returns what O(runbook.ops.checklist_info#module:items) takes.
options:
  _input:
    description: The description, as the role P(runbook.ops.system#role) registers it.
    type: dict
    required: true
  playbook:
    description: Playbook that asks for it. Without one, all that is asked for at all.
    type: str
"""

EXAMPLES = r"""
- name: See what the quarter asks for
  runbook.ops.checklist_info:
    system: shop
    items: "{{ system_description | runbook.ops.checklist_items('quarterly_review') }}"
"""

RETURN = r"""
_value:
  description: The items.
  type: list
  elements: dict
"""

from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._checklist_plan import plan_items
from ansible_collections.runbook.ops.plugins.plugin_utils._filter import takes_description


@takes_description
def checklist_items(description: Mapping[str, Any], playbook: str | None = None) -> list[dict[str, Any]]:
    """Return the items of ``description``."""
    return plan_items(description, playbook)


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Callable[..., object]]:
        """Return the filters of this file by name."""
        return {"checklist_items": checklist_items}
