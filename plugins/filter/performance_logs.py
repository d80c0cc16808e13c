# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter performance_logs: a thin door into module_utils."""

from __future__ import annotations

DOCUMENTATION = r"""
name: performance_logs
short_description: Turn a system's description into the logs that tell how long something took
version_added: 0.2.0
author:
  - The runbook.ops founders (@runbook-ops)
description:
  - Access logs, logs with a pattern of durations, PostgreSQL's log, and MongoDB's with its slow operations.
  - Returns what O(runbook.ops.log_scan#module:logs) takes.
options:
  _input:
    description: The description, as the role P(runbook.ops.system#role) registers it.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Read the week's response times
  runbook.ops.log_scan:
    logs: "{{ system_description | runbook.ops.performance_logs }}"
"""

RETURN = r"""
_value:
  description: The logs, in the order of the description.
  type: list
  elements: dict
"""

from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.runbook.ops.plugins.module_utils._performance_plan import plan_performance_logs
from ansible_collections.runbook.ops.plugins.plugin_utils._filter import takes_description


@takes_description
def performance_logs(description: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the logs of ``description``."""
    return plan_performance_logs(description)


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Callable[..., object]]:
        """Return the filters of this file by name."""
        return {"performance_logs": performance_logs}
