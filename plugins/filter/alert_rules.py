# Copyright: the runbook.ops authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter alert_rules: a thin door into module_utils."""

from __future__ import annotations

DOCUMENTATION = r"""
name: alert_rules
short_description: Turn a system's description into alert rules for Prometheus
version_added: 0.2.0
author:
  - The runbook.ops founders (@runbook-ops)
description:
  - The thresholds become rules about what node_exporter measures. With O(metrics), there are also rules about the checks of
    the monitor on the host, and about that monitor. Rules of the description itself come first, and replace one of that name.
options:
  _input:
    description: The description, as the role P(runbook.ops.system#role) registers it.
    type: dict
    required: true
  metrics:
    description: Whether the monitor on the host writes metrics.
    type: bool
    default: false
  interval_seconds:
    description: Seconds between two looks of that monitor.
    type: int
    default: 300
"""

EXAMPLES = r"""
- name: Show the rules
  ansible.builtin.debug:
    msg: "{{ system_description | runbook.ops.alert_rules | to_nice_yaml }}"
"""

RETURN = r"""
_value:
  description: The rules, as a rule file of Prometheus holds them.
  type: dict
"""

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.runbook.ops.plugins.module_utils._alert_rules import make_rules


def alert_rules(description: Mapping[str, Any], metrics: bool = False, interval_seconds: int = 300) -> dict[str, Any]:
    """Return the rules for ``description``."""
    try:
        return make_rules(description, metrics=bool(metrics), interval_seconds=int(interval_seconds))
    except (AttributeError, KeyError, TypeError, ValueError) as exc:
        raise AnsibleFilterError(
            f"runbook.ops.alert_rules: takes the description that the role system registers ({type(exc).__name__}: {exc})"
        ) from exc


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Callable[..., object]]:
        """Return the filters of this file by name."""
        return {"alert_rules": alert_rules}
