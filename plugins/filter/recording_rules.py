# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter recording_rules: a thin door into module_utils."""

from __future__ import annotations

DOCUMENTATION = r"""
name: recording_rules
short_description: Turn a system's description into recording rules for Prometheus
version_added: 0.2.0
author:
  - The runbook.ops founders (@runbook-ops)
description:
  - Series that dashboards read, so that a month is drawn at once and not computed by each reader.
options:
  _input:
    description: The description, as the role P(runbook.ops.system#role) registers it.
    type: dict
    required: true
  metrics:
    description: Whether the hosts write metrics for node_exporter.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Show the rules
  ansible.builtin.debug:
    msg: "{{ system_description | runbook.ops.recording_rules | to_nice_yaml }}"
"""

RETURN = r"""
_value:
  description: The rules, as a rule file of Prometheus holds them.
  type: dict
"""

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.runbook.ops.plugins.module_utils._figures import make_records


def recording_rules(description: Mapping[str, Any], metrics: bool = False) -> dict[str, Any]:
    """Return the rules for ``description``."""
    try:
        return make_records(description, metrics=bool(metrics))
    except (AttributeError, KeyError, TypeError, ValueError) as exc:
        raise AnsibleFilterError(f"runbook.ops.recording_rules: {exc}") from exc


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Callable[..., object]]:
        """Return the filters of this file by name."""
        return {"recording_rules": recording_rules}
