# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter dashboards: a thin door into module_utils."""

from __future__ import annotations

DOCUMENTATION = r"""
name: dashboards
short_description: Turn a system's description into dashboards of Grafana
version_added: 0.2.0
author:
  - The runbook.ops founders (@runbook-ops)
description:
  - What node_exporter measures, with O(metrics) what the monitor on the host sees and what each run of a playbook found, and the panels
    that the description declares itself.
options:
  _input:
    description: The description, as the role P(runbook.ops.system#role) registers it.
    type: dict
    required: true
  metrics:
    description: Whether the hosts write metrics for node_exporter.
    type: bool
    default: false
  recorded:
    description: Whether Prometheus has the rules of the filter P(runbook.ops.recording_rules#filter), whose series are then read.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Show the dashboards
  ansible.builtin.debug:
    var: system_description | runbook.ops.dashboards
"""

RETURN = r"""
_value:
  description: The dashboards, by the names of their files.
  type: dict
"""

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.runbook.ops.plugins.module_utils._grafana import make_dashboards


def dashboards(description: Mapping[str, Any], metrics: bool = False, recorded: bool = False) -> dict[str, Any]:
    """Return the dashboards for ``description``."""
    try:
        return dict(make_dashboards(description, metrics=bool(metrics), recorded=bool(recorded)))
    except (AttributeError, KeyError, TypeError, ValueError) as exc:
        raise AnsibleFilterError(f"runbook.ops.dashboards: {exc}") from exc


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Callable[..., object]]:
        """Return the filters of this file by name."""
        return {"dashboards": dashboards}
