# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter log_scans: a thin door into module_utils."""

from __future__ import annotations

DOCUMENTATION = r"""
name: log_scans
short_description: Turn a system's description into the logs that are scanned
version_added: 0.2.0
author:
  - The runbook.ops founders (@runbook-ops)
description:
  - Each log of the description with where it is kept, its format, its patterns and its limits.
  - Returns what O(runbook.ops.log_scan#module:logs) takes.
options:
  _input:
    description: The description, as the role P(runbook.ops.system#role) registers it.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Review the week's logs
  runbook.ops.log_scan:
    logs: "{{ system_description | runbook.ops.log_scans }}"
"""

RETURN = r"""
_value:
  description: The logs, in the order of the description.
  type: list
  elements: dict
"""

from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._log_scan_plan import plan_log_scans
from ansible_collections.runbook.ops.plugins.plugin_utils._filter import takes_description


@takes_description
def log_scans(description: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the logs of ``description``."""
    return plan_log_scans(description)


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Callable[..., object]]:
        """Return the filters of this file by name."""
        return {"log_scans": log_scans}
